"""Probes go to both sides in turn; a side that hangs is a failure, and a look that ends is none."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from tests.sides import sides

from backout.clock import SystemClock
from backout.guard import Arm
from backout.platforms.abilities import Arms
from backout.signals.base import Reading, Span
from backout.signals.options import ProbeErrors
from backout.signals.probes import ProbesSignal


@pytest.fixture
def hangs() -> Iterator[str]:
    """Accepts connections, and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


@pytest.fixture
def answers() -> Iterator[str]:
    with sides("blue") as running:
        yield f"http://127.0.0.1:{running['blue'].port}/version"


def read(canary: str, control: str, *, timeout_s: float, deadline_s: float, per_look: int = 3) -> Reading:
    options = ProbeErrors(
        kind="probes", urls={"green": canary, "blue": control}, per_look=per_look, timeout_s=timeout_s
    )
    now = datetime.now(UTC)
    began = now - timedelta(seconds=1)
    span = Span(
        since=began,
        now=now,
        released_at=began,
        arms=Arms("green", ("blue",), 0.5),
        deadline_s=deadline_s,
    )
    return ProbesSignal(options, SystemClock(), options.urls).read(span, None)


def test_a_side_that_hangs_takes_not_the_time_of_the_other(hangs: str, answers: str) -> None:
    (look,) = read(hangs, answers, timeout_s=0.2, deadline_s=1, per_look=5).looks
    found = look.errors["probes"]
    assert found.canary.requests == found.canary.errors > 0
    assert found.control is not None and found.control.requests > 0


def test_what_the_end_of_the_look_cut_short_is_no_failure(hangs: str, answers: str) -> None:
    found = read(hangs, answers, timeout_s=3, deadline_s=0.2)
    assert found.looks == () and "no time" in str(found.why)


def test_a_side_that_is_not_there_fails(answers: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        gone = f"http://127.0.0.1:{server.getsockname()[1]}/"
    (look,) = read(gone, answers, timeout_s=3, deadline_s=5).looks
    found = look.errors["probes"]
    assert (found.canary, found.control) == (Arm(requests=3, errors=3), Arm(requests=3, errors=0))


def test_no_probe_may_take_longer_than_a_look() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 5"):
        ProbeErrors(kind="probes", timeout_s=5.1)
