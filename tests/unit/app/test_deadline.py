"""Sources that fail, answer, or never answer."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from backout.app.deadline import Question
from backout.errors import TargetUnreachable
from backout.message import msg

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_an_answer_is_known() -> None:
    seen = Question("source", lambda: 7).answer(int, 10, NOW)
    assert (seen.known, seen.value, seen.source) == (True, 7, "source")


def test_an_error_of_ours_is_the_reason() -> None:
    def fails() -> int:
        raise TargetUnreachable(msg("It is away."), state=msg("…"), next_command="…")

    seen = Question("source", fails).answer(int, 10, NOW)
    assert not seen.known
    assert str(seen.unknown) == "It is away."


def test_any_other_error_tells_its_kind_and_not_its_text() -> None:
    def fails() -> int:
        raise ValueError("password hunter22")

    seen = Question("source", fails).answer(int, 10, NOW)
    assert not seen.known
    assert str(seen.unknown) == "source failed (ValueError)."


def test_what_does_not_answer_in_time_is_unknown() -> None:
    never = threading.Event()
    seen = Question("source", never.wait).answer(bool, 0.01, NOW)
    never.set()
    assert not seen.known
    assert str(seen.unknown) == "source did not answer in time."
