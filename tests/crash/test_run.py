"""Kill -9 at every journal boundary and inside every step of a way back; then resume: the same final state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .suite import RUN, Crash, Rounds

pytestmark = [pytest.mark.slow, pytest.mark.crash]

INSIDE = ("quarantine.", "hold.router.", "process.stop.", "process.link.", "process.start.", "release.router.", "verify.")


@pytest.fixture(scope="module")
def uninterrupted(session_stage: Crash) -> tuple[list[str], dict[str, Any]]:
    """Every point that a way back passes, and how it ends when nobody disturbs it."""
    session_stage.reset()
    points = session_stage.points(*RUN)
    picture = session_stage.picture()
    assert picture["world"]["version"] == "5.3.0"
    assert (picture["quarantined"], picture["acting"], picture["records agree"]) == (["5.4.0"], None, True)
    assert picture["records here"]["5.4.0"][0] == "bad"
    return points, picture


def test_every_point(crash: Crash, uninterrupted: tuple[list[str], dict[str, Any]], say: Callable[[str], None]) -> None:
    points, wanted = uninterrupted
    for inside in INSIDE:
        assert any(p.startswith(inside) for p in points), f"no fault point inside {inside}"
    rounds = Rounds(crash, "killed at every point of run, then resumed", say)
    for point in points:
        crash.reset()
        since = crash.mark()
        died = crash.command(*RUN, fault=point)
        troubles = [] if died.killed else [f"was not killed: {died}"]
        back = crash.go_on()
        troubles += [] if back.code == 0 else [f"did not go on: {back}"]
        failed = crash.saw(rounds.claim, since)
        troubles += [f"{failed} requests failed"] if failed else []
        rounds.tell(point, troubles + crash.differences(wanted) + crash.journal_troubles())
    rounds.close()
