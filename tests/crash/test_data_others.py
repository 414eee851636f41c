"""A way back with data, and somebody else: a second operator, one that froze and wakes up, a server that restarts."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psutil
import pytest

from .data import Story, Whole, gone_on, went_back
from .suite import Crash, Rounds, Sample, ended, until

pytestmark = [pytest.mark.slow, pytest.mark.crash]

Say = Callable[[str], None]
TAKE_OVER = ("resume", "--take-over", "--reason", "their laptop died")
RESTARTED_AT = (
    "swap.sequences.before", "restore.fill.before", "restore.create.after", "restore.mark.after", "restore.lock.after", "restore.fill.after",
    "swap.before", "swap.close.after", "swap.rename.before", "swap.rename.between", "swap.commit.before", "swap.commit.after",
)  # fmt: skip
FROZEN_AT = (
    "journal.step.begun.before:7", "journal.step.begun.after:3", "journal.step.confirmed.before:5", "restore.start.before",
    "journal.step.applied.before:6", "journal.step.begun.before:10",
)  # fmt: skip
IN_THE_SWAP = ("swap.close.after", "swap.sequences.after", "swap.rename.between")
WORKER = "backout.databases.postgres.restoring"


def test_server_restarted(
    crash: Crash, stories: dict[str, Story], whole: Callable[[str], Whole], sample: Sample, say: Say
) -> None:
    # Requests that the server cuts off fail, whoever restarts it: a figure, and no failure of the way back.
    story, wanted = stories["data"], whole("data").picture
    rounds = Rounds(crash, "server stopped at once and restarted in the middle, resumed", say)
    for point in sample(RESTARTED_AT, 6):
        crash.reset("data")
        since = crash.mark()
        process = crash.start(*story.words, fault=point, how="STOP")
        until(lambda point=point: crash.passed(f"{point}:1"), within_s=60)
        crash.stage.restart_database()
        for frozen in (process.pid, *_workers(crash)):
            os.kill(frozen, signal.SIGCONT)
        left = ended(process)
        troubles = [] if left.code in (0, 5) else [f"left as {left}"]
        troubles += [] if left.code == 0 or "backout" in left.err else [f"says no next command: {left}"]
        back = left if left.code == 0 else gone_on(crash, story)
        troubles += went_back(crash, story, back, wanted, rounds, since, may_fail=True)
        rounds.tell(f"{point} (exit {left.code})", troubles)
    rounds.close()


def test_worker_killed(
    crash: Crash, stories: dict[str, Story], whole: Callable[[str], Whole], count: int, say: Say
) -> None:
    story, wanted = stories["full"], whole("full").picture
    rounds = Rounds(crash, "process that restores killed with all that it started, resumed", say)
    for _ in range(max(1, count // 25)):
        crash.reset("full")
        since = crash.mark()
        process = crash.start(*story.words)
        until(lambda: _workers(crash), within_s=60)
        for pid in _workers(crash):
            os.kill(pid, signal.SIGKILL)
        left = ended(process)
        troubles = [] if left.code in (0, 5) else [f"left as {left}"]
        back = left if left.code == 0 else gone_on(crash, story)
        rounds.tell(f"exit {left.code}", troubles + went_back(crash, story, back, wanted, rounds, since))
    rounds.close()


def test_two_runs_at_the_same_moment(
    crash: Crash, stories: dict[str, Story], whole: Callable[[str], Whole], count: int, say: Say
) -> None:
    story, wanted = stories["data"], whole("data").picture
    rounds = Rounds(crash, "two runs with data at the same moment", say)
    for _ in range(max(1, count // 25)):
        crash.reset("data")
        since = crash.mark()
        both = [crash.start(*story.words) for _ in range(2)]
        left = sorted((ended(process) for process in both), key=lambda done: done.code)
        codes = [done.code for done in left]
        troubles = [] if codes == [0, 3] else [f"they left as {codes}: {left[-1]}"]
        rounds.tell(f"exit {codes}", troubles + went_back(crash, story, left[0], wanted, rounds, since))
    rounds.close()


def test_a_frozen_owner_is_taken_over_and_wakes_up(
    crash: Crash, stories: dict[str, Story], whole: Callable[[str], Whole], sample: Sample, say: Say
) -> None:
    story, wanted = stories["data"], whole("data").picture
    rounds = Rounds(crash, "owner with data frozen, taken over, woken up: it does nothing more", say)
    for point in sample(FROZEN_AT, 6):
        crash.reset("data")
        since = crash.mark()
        zombie = crash.frozen(*story.words, at=point)
        refused, taken = crash.command("resume"), crash.command(*TAKE_OVER)
        os.kill(zombie.pid, signal.SIGCONT)
        left = ended(zombie)
        troubles = (
            []
            if refused.code == 3 and "--take-over" in refused.err
            else [f"resume was not refused: {refused}"]
        )
        troubles += (
            [] if left.code == 5 and "backout status" in left.err else [f"the woken one left as {left}"]
        )
        rounds.tell(point, troubles + went_back(crash, story, taken, wanted, rounds, since))
    rounds.close()


def test_an_owner_frozen_inside_the_swap_keeps_others_out_until_it_is_killed(
    crash: Crash, stories: dict[str, Story], whole: Callable[[str], Whole], sample: Sample, say: Say
) -> None:
    story, wanted = stories["data"], whole("data").picture
    rounds = Rounds(crash, "owner frozen inside the swap: nobody else swaps until it is killed", say)
    for point in sample(IN_THE_SWAP, 3):
        crash.reset("data")
        since = crash.mark()
        zombie = crash.frozen(*story.words, at=point)
        taken = crash.command(*TAKE_OVER)
        os.kill(zombie.pid, signal.SIGKILL)
        left, back = ended(zombie), crash.command("resume")
        troubles = [] if taken.code in (3, 5) and "backout" in taken.err else [f"it was taken over: {taken}"]
        troubles += [] if left.killed else [f"the frozen one left as {left}"]
        rounds.tell(point, troubles + went_back(crash, story, back, wanted, rounds, since))
    rounds.close()


def _workers(crash: Crash) -> list[int]:
    """Return the processes that fill databases of this stage."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        command = process.info["cmdline"] or []
        if WORKER in command and any(part.startswith(str(crash.stage.directory)) for part in command):
            found.append(int(process.info["pid"]))
    return found
