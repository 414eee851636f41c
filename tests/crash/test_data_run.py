"""Kill -9 everywhere in a way back with data, in backout and in the process that restores; then resume."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

import pytest

from .data import Story, Whole, ended_there, first_of, gone_on, went_back
from .suite import Crash, Rounds, how, killed

pytestmark = [pytest.mark.slow, pytest.mark.crash]

Say = Callable[[str], None]
INSIDE = (
    "restore.start.", "restore.create.", "restore.mark.", "restore.open.", "restore.launch.", "restore.lock.",
    "restore.fill.", "restore.analyse.", "restore.restored.", "hold.router.", "swap.before", "swap.close.",
    "swap.end_sessions.", "swap.sequences.", "swap.rename.", "swap.commit.", "swap.after", "release.router.", "verify.",
)  # fmt: skip
"""Kinds of points that both scenarios must have."""
SHORT = {
    "data": ("restore.create.after", "restore.launch.after", "restore.lock.after", "restore.analyse.after",
             "swap.close.after", "swap.sequences.after", "swap.rename.between", "swap.commit.after"),
    "full": ("restore.mark.after", "restore.fill.before", "restore.restored.after", "process.start.after",
             "swap.end_sessions.after", "swap.commit.before"),
}  # fmt: skip
"""What `make test` tries: every state that a database beside can be cut short in."""


@pytest.mark.parametrize("name", ["data", "full"])
def test_every_point(
    crash: Crash,
    stories: dict[str, Story],
    whole: Callable[[str], Whole],
    name: str,
    everything: bool,
    say: Say,
) -> None:
    story, (points, wanted, _) = stories[name], whole(name)
    for inside in INSIDE:
        assert any(p.startswith(inside) for p in points), f"no fault point inside {inside}"
    rounds = Rounds(crash, f"run --scenario {name} killed at every point, resumed", say)
    for point in points if everything else first_of(points, SHORT[name]):
        crash.reset(name)
        since = crash.mark()
        died = crash.command(*story.words, fault=point)
        troubles = ended_there(point, died)
        back = died if died.code == 0 else gone_on(crash, story)
        rounds.tell(point, troubles + went_back(crash, story, back, wanted, rounds, since))
    rounds.close()


def test_random_instants(
    crash: Crash,
    stories: dict[str, Story],
    whole: Callable[[str], Whole],
    randomly: random.Random,
    count: int,
    say: Say,
) -> None:
    rounds = Rounds(crash, "run with data killed at random instants, and its resume too, resumed", say)
    for number in range(max(1, count // 5)):
        story = stories[("full", "data")[number % 2]]
        _, wanted, seconds = whole(story.name)
        crash.reset(story.name)
        since = crash.mark()
        after_s = randomly.uniform(0.2 * seconds, seconds), randomly.uniform(0.1 * seconds, 0.5 * seconds)
        died = killed(crash, after_s[0], *story.words)
        again = killed(crash, after_s[1], "resume") if crash.open_runs() else died
        back = again if again.code == 0 else gone_on(crash, story)
        name = f"{story.name} {after_s[0]:.3f} s ({how(died)}), {after_s[1]:.3f} s ({how(again)})"
        rounds.tell(name, went_back(crash, story, back, wanted, rounds, since))
    rounds.close()


def test_ctrl_c_at_random_instants(
    crash: Crash,
    stories: dict[str, Story],
    whole: Callable[[str], Whole],
    randomly: random.Random,
    count: int,
    say: Say,
) -> None:
    rounds = Rounds(crash, "run with data interrupted at random instants, resumed", say)
    for number in range(max(1, count // 10)):
        story = stories[("data", "full")[number % 2]]
        _, wanted, seconds = whole(story.name)
        crash.reset(story.name)
        since = crash.mark()
        after_s = randomly.uniform(0.2 * seconds, seconds)
        left = killed(crash, after_s, *story.words, number=signal.SIGINT)
        troubles = [] if left.code in (130, 0, -signal.SIGINT) else [f"left as {left}"]
        troubles += (
            [f"says no next command: {left}"] if crash.open_runs() and "backout" not in left.err else []
        )
        back = left if left.code == 0 else gone_on(crash, story)
        troubles += went_back(crash, story, back, wanted, rounds, since)
        rounds.tell(f"{story.name} {after_s:.3f} s ({how(left)})", troubles)
    rounds.close()
