"""What the journal says of guards: here, and of runs that came from another machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backout.app.watch_marks import ACTED, BY_ITSELF, acted, freeze, frozen, pause, paused, resume
from backout.clock import SystemClock
from backout.execute.journal import Journal
from backout.execute.store import Store
from backout.message import msg
from backout.redact import Redactor


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Any]:
    store = Store(tmp_path)
    try:
        yield SimpleNamespace(journal=Journal(store, SystemClock(), "ann", Redactor()))
    finally:
        store.close()


def test_a_guard_that_acted_on_another_machine_acted(parts: Any) -> None:
    """Of another machine only runs come, not its guard's marks."""
    assert acted(parts) is None
    parts.journal.append("run.created", {"reason": "by hand"}, run="run-1")
    assert acted(parts) is None
    ran = parts.journal.append("run.created", {"reason": f"{BY_ITSELF}errors"}, run="run-2")
    assert acted(parts) == ran.at
    marked = parts.journal.append(ACTED, {"release": "v2"})
    assert acted(parts) == marked.at


def test_pausing_and_freezing_end_with_resume_and_each_release_is_frozen_by_itself(parts: Any) -> None:
    pause(parts, "load test")
    freeze(parts, "v2", msg("rows would be lost"))
    freeze(parts, "v3", msg("rows would be lost"))
    assert "load test" in str(paused(parts)) and "v3 is frozen" in str(frozen(parts))
    resume(parts, None)
    assert (paused(parts), frozen(parts)) == (None, None)
