"""Kill -9 at every journal boundary and inside every step of a way back; then resume: the same final state."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from .suite import RUN, Crash, Ended, Rounds, Sample, how, killed

pytestmark = [pytest.mark.slow, pytest.mark.crash]

HOLD_FIRST = (*RUN, "--hold-first")
Say = Callable[[str], None]
INSIDE = ("lease.take.", "quarantine.", "records.target.", "hold.router.", "process.stop.", "process.link.", "process.start.", "release.router.", "verify.", "lease.release.")  # fmt: skip


@pytest.fixture(scope="module")
def seconds(shared_stage: Crash, uninterrupted: Any) -> float:
    """How long a way back takes from Enter to its end, when nobody disturbs it."""
    shared_stage.reset()
    began_s = time.monotonic()
    assert shared_stage.command(*RUN).code == 0
    return time.monotonic() - began_s


def test_every_point(
    crash: Crash, uninterrupted: tuple[list[str], dict[str, Any]], sample: Sample, say: Say
) -> None:
    points, wanted = uninterrupted
    for inside in INSIDE:
        assert any(p.startswith(inside) for p in points), f"no fault point inside {inside}"
    rounds = Rounds(crash, "killed at every point of run, resumed", say)
    for point in sample(points, 3):
        crash.reset()
        since = crash.mark()
        died = crash.command(*RUN, fault=point)
        troubles = [] if died.killed else [f"was not killed: {died}"]
        rounds.tell(point, troubles + _back(crash, crash.go_on(), wanted, rounds, since))
    rounds.close()


def test_random_instants(
    crash: Crash,
    uninterrupted: tuple[list[str], dict[str, Any]],
    seconds: float,
    randomly: random.Random,
    count: int,
    say: Say,
) -> None:
    rounds = Rounds(crash, "killed at a random instant, resumed", say)
    for _ in range(count):
        crash.reset()
        since = crash.mark()
        after_s = randomly.uniform(0, seconds)
        died = killed(crash, after_s, *RUN)
        rounds.tell(
            f"{after_s:.3f} s ({how(died)})", _back(crash, crash.go_on(), uninterrupted[1], rounds, since)
        )
    rounds.close()


def test_killed_twice(
    crash: Crash,
    uninterrupted: tuple[list[str], dict[str, Any]],
    seconds: float,
    randomly: random.Random,
    count: int,
    say: Say,
) -> None:
    rounds = Rounds(crash, "killed at a random instant, and its resume too, resumed", say)
    for _ in range(max(1, count // 5)):
        crash.reset()
        since = crash.mark()
        after_s = randomly.uniform(0.3 * seconds, 0.9 * seconds), randomly.uniform(0.2 * seconds, seconds)
        died = killed(crash, after_s[0], *RUN)
        again = killed(crash, after_s[1], *(("resume",) if crash.open_runs() else RUN))
        name = f"{after_s[0]:.3f} s ({how(died)}), {after_s[1]:.3f} s ({how(again)})"
        rounds.tell(name, _back(crash, crash.go_on(), uninterrupted[1], rounds, since))
    rounds.close()


def test_ctrl_c_at_random_instants(
    crash: Crash,
    uninterrupted: tuple[list[str], dict[str, Any]],
    seconds: float,
    randomly: random.Random,
    count: int,
    say: Say,
) -> None:
    rounds = Rounds(crash, "interrupted at a random instant, resumed", say)
    for _ in range(max(1, count // 5)):
        crash.reset()
        since = crash.mark()
        after_s = randomly.uniform(0, seconds)
        left = killed(crash, after_s, *RUN, number=signal.SIGINT)
        # Before its own code runs, Ctrl-C ends Python itself (-2, which a shell shows as 130).
        troubles = [] if left.code in (130, 0, -signal.SIGINT) else [f"left as {left}"]
        troubles += (
            [f"says no next command: {left}"] if crash.open_runs() and "backout" not in left.err else []
        )
        rounds.tell(
            f"{after_s:.3f} s ({how(left)})",
            troubles + _back(crash, crash.go_on(), uninterrupted[1], rounds, since),
        )
    rounds.close()


def test_hold_first_at_every_point_of_an_effect(
    crash: Crash, uninterrupted: tuple[list[str], dict[str, Any]], sample: Sample, say: Say
) -> None:
    points = [p for p in crash.points(*HOLD_FIRST) if not p.startswith("journal.step.")]
    for inside in ("database.hold.", "database.release."):
        assert any(p.startswith(inside) for p in points), f"no fault point inside {inside}"
    # Clients get the front's 503 while it holds: that is what was asked for, so it is a figure, not a failure.
    rounds = Rounds(crash, "run --hold-first killed at every point inside its steps, resumed", say)
    for point in sample(points, 9):
        crash.reset()
        since = crash.mark()
        died = crash.command(*HOLD_FIRST, fault=point)
        troubles = [] if died.killed else [f"was not killed: {died}"]
        back = crash.go_on(HOLD_FIRST)
        troubles += [] if back.code == 0 else [f"did not go on: {back}"]
        crash.saw(rounds.claim, since)
        rounds.tell(point, troubles + crash.differences(uninterrupted[1]) + crash.journal_troubles())
    rounds.close()


def _back(crash: Crash, back: Ended, wanted: dict[str, Any], rounds: Rounds, since: str) -> list[str]:
    """Return what is not as after an undisturbed way back."""
    troubles = [] if back.code == 0 else [f"did not go on: {back}"]
    failed = crash.saw(rounds.claim, since)
    troubles += [f"{failed} requests failed"] if failed else []
    return troubles + crash.differences(wanted) + crash.journal_troubles()
