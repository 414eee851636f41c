"""A way back with data that was killed, and is not gone on with: aborted, or opened again by release-hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .data import OPEN, Story, Whole, aborted, row_troubles, went_back
from .suite import Crash, Rounds, Sample

pytestmark = [pytest.mark.slow, pytest.mark.crash]

Say = Callable[[str], None]
BEFORE_ABORT = (
    "swap.close.after", "restore.create.before", "restore.create.after", "restore.mark.after", "restore.open.after",
    "restore.launch.before", "restore.launch.after", "swap.end_sessions.after", "swap.sequences.after", "swap.rename.before",
    "swap.commit.after", "swap.rename.between", "swap.commit.before", "swap.after", "process.stop.after", "verify.before",
)  # fmt: skip
CLOSED_AT = (
    "swap.close.after", "swap.rename.between", "swap.end_sessions.after:1", "swap.sequences.before", "swap.end_sessions.after:2",
    "swap.rename.before", "swap.commit.before",
)  # fmt: skip
"""Between closing and renaming: nobody can connect."""


@pytest.fixture(scope="module")
def begin(shared_stage: Crash, stories: dict[str, Story]) -> dict[str, dict[str, Any]]:
    """How things stand at the beginning of each scenario."""
    return {name: _beginning(shared_stage, name) for name in stories}


def _beginning(crash: Crash, name: str) -> dict[str, Any]:
    crash.reset(name)
    picture = crash.picture()
    assert picture["world"]["databases"] == [OPEN]
    del picture["drafts"]  # A link that was not yet moved into place stays until the next run replaces it.
    return picture


def test_killed_then_aborted(
    crash: Crash, stories: dict[str, Story], begin: dict[str, dict[str, Any]], sample: Sample, say: Say
) -> None:
    rounds = Rounds(crash, "run --scenario full killed, then aborted", say)
    for point in sample(BEFORE_ABORT, 8):
        crash.reset("full")
        since = crash.mark()
        died = crash.command(*stories["full"].words, fault=point)
        troubles = [] if died.killed else [f"was not killed: {died}"]
        rounds.tell(point, troubles + aborted(crash, stories["full"], begin["full"], rounds, since))
    rounds.close()


def test_abort_killed_at_every_point(
    crash: Crash, stories: dict[str, Story], begin: dict[str, dict[str, Any]], everything: bool, say: Say
) -> None:
    story = stories["full"]
    crash.reset("full")
    assert crash.command(*story.words, fault="verify.before").killed
    points = crash.points("abort", "--yes")
    for inside in (
        "swap.close.",
        "swap.rename.",
        "swap.commit.",
        "process.start.",
        "hold.router.",
    ):
        assert any(p.startswith(inside) for p in points), f"no fault point inside {inside}"
    short = ("swap.close.after", "swap.commit.after")
    chosen = [p for p in points if not p.startswith("journal.step.")]
    rounds = Rounds(crash, "abort of the full scenario killed at every point of an effect, typed again", say)
    for point in chosen if everything else [next(p for p in points if p.startswith(kind)) for kind in short]:
        crash.reset("full")
        since = crash.mark()
        assert crash.command(*story.words, fault="verify.before").killed
        died = crash.command("abort", "--yes", fault=point)
        troubles = [] if died.killed else [f"was not killed: {died}"]
        if crash.open_runs():
            troubles += aborted(crash, story, begin["full"], rounds, since)
        else:
            troubles += row_troubles(crash, story, story.damaged)
        rounds.tell(point, troubles)
    rounds.close()


def test_closed_then_let_go(
    crash: Crash,
    stories: dict[str, Story],
    whole: Callable[[str], Whole],
    begin: dict[str, dict[str, Any]],
    sample: Sample,
    say: Say,
) -> None:
    story, wanted = stories["data"], whole("data").picture
    rounds = Rounds(
        crash, "killed while nobody can connect: told, opened by release-hold, resumed or aborted", say
    )
    for number, point in enumerate(sample(CLOSED_AT, 3)):
        crash.reset("data")
        since = crash.mark()
        died = crash.command(*story.words, fault=point)
        troubles = [] if died.killed else [f"was not killed: {died}"]
        closed = crash.stage.state()["databases"]
        troubles += [] if "collector closed" in closed else [f"is not closed: {closed}"]
        told = crash.command("status")
        text = told.out + told.err
        troubles += (
            [] if "release-hold" in text and "connect" in text else [f"status does not say so: {told}"]
        )
        let_go = crash.command("release-hold")
        troubles += [] if let_go.code == 0 else [f"did not open it: {let_go}"]
        world = crash.stage.state()
        # Requests go on waiting: the run that is half-way lets them go, when it is resumed or aborted.
        is_open = (world["takes_writes"], world["front"]) == (True, "queue") and OPEN in world["databases"]
        troubles += [] if is_open else [f"is not open: {world}"]
        if number % 2:
            troubles += went_back(crash, story, crash.command("resume"), wanted, rounds, since)
        else:
            troubles += aborted(crash, story, begin["data"], rounds, since)
        rounds.tell(f"{point} {('abort', 'resume')[number % 2]}", troubles)
    rounds.close()
