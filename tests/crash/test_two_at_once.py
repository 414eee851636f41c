"""Two operators at once, an owner that froze and wakes up, a terminal that goes away."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import termios
import threading
from collections.abc import Callable
from typing import Any

import pytest

from backout.execute.run import RunState

from .suite import RUN, Crash, Rounds, Sample, ended, until

pytestmark = [pytest.mark.slow, pytest.mark.crash]

Say = Callable[[str], None]
Uninterrupted = tuple[list[str], dict[str, Any]]
TAKE_OVER = ("resume", "--take-over", "--reason", "their laptop died")
FROZEN_AT = (
    "journal.run.started.before", "journal.step.begun.before:2", "quarantine.before", "journal.step.confirmed.before:3",
    "journal.step.begun.after:5", "journal.step.applied.before:6", "journal.step.begun.before:7", "journal.step.begun.after:8",
    "verify.before", "journal.run.finished.before",
)  # fmt: skip
IN_THE_LOCK = ("process.stop.before", "process.link.before", "process.link.drafted", "process.start.before")
GONE_AT = ("lease.take.before:1", "hold.router.after:1", "process.start.before:1", "verify.before:1")


def test_two_runs_at_the_same_moment(
    crash: Crash, uninterrupted: Uninterrupted, count: int, say: Say
) -> None:
    rounds = Rounds(crash, "two runs at the same moment", say)
    for _ in range(max(1, count // 10)):
        crash.reset()
        since = crash.mark()
        both = [crash.start(*RUN) for _ in range(2)]
        codes = sorted(ended(process).code for process in both)
        troubles = [] if codes in ([0, 3], [0, 0]) else [f"they left as {codes}"]
        failed = crash.saw(rounds.claim, since)
        troubles += [f"{failed} requests failed"] if failed else []
        rounds.tell(
            f"exit {codes}", troubles + crash.differences(uninterrupted[1]) + crash.journal_troubles()
        )
    rounds.close()


def test_a_frozen_owner_is_taken_over_and_wakes_up(
    crash: Crash, uninterrupted: Uninterrupted, sample: Sample, say: Say
) -> None:
    rounds = Rounds(crash, "owner frozen, taken over, woken up: it does nothing more", say)
    for point in sample(FROZEN_AT, 3):
        crash.reset()
        since = crash.mark()
        zombie = crash.frozen(*RUN, at=point)
        refused, taken = crash.command("resume"), crash.command(*TAKE_OVER)
        after = crash.differences(uninterrupted[1])
        os.kill(zombie.pid, signal.SIGCONT)
        left = ended(zombie)
        troubles = (
            []
            if refused.code == 3 and "--take-over" in refused.err
            else [f"resume was not refused: {refused}"]
        )
        troubles += [] if taken.code == 0 else [f"was not taken over: {taken}"]
        troubles += (
            [] if left.code == 5 and "backout status" in left.err else [f"the woken one left as {left}"]
        )
        failed = crash.saw(rounds.claim, since)
        troubles += [f"{failed} requests failed"] if failed else []
        troubles += after + crash.differences(uninterrupted[1]) + crash.journal_troubles()
        state = crash.newest().state
        rounds.tell(point, troubles + ([] if state is RunState.FINISHED else [f"the run is {state}"]))
    rounds.close()


def test_an_owner_frozen_inside_an_effect_keeps_others_out_until_it_is_killed(
    crash: Crash, uninterrupted: Uninterrupted, sample: Sample, say: Say
) -> None:
    rounds = Rounds(crash, "owner frozen inside an effect: nobody else acts until it is killed", say)
    for point in sample(IN_THE_LOCK, 3):
        crash.reset()
        zombie = crash.frozen(*RUN, at=point)
        taken = crash.command(*TAKE_OVER)
        os.kill(zombie.pid, signal.SIGKILL)
        left, back = ended(zombie), crash.command("resume")
        troubles = [] if taken.code in (3, 5) and "fuser" in taken.err else [f"it was taken over: {taken}"]
        troubles += [] if left.killed and back.code == 0 else [f"did not go on: {back}"]
        rounds.tell(point, troubles + crash.differences(uninterrupted[1]) + crash.journal_troubles())
    rounds.close()


def test_a_hold_by_an_owner_that_woke_up_is_told_and_let_go(
    crash: Crash, uninterrupted: Uninterrupted, say: Say
) -> None:
    """A router compares no fencing token: between its last look and the effect an owner can sleep. It has to say so."""
    rounds = Rounds(crash, "owner frozen right before it holds, taken over, woken up: told, and let go", say)
    crash.reset()
    zombie = crash.frozen(*RUN, at="hold.router.before")
    taken = crash.command(*TAKE_OVER)
    os.kill(zombie.pid, signal.SIGCONT)
    left = ended(zombie)
    troubles = [] if taken.code == 0 else [f"was not taken over: {taken}"]
    troubles += (
        [] if left.code == 5 and "backout release-hold" in left.err else [f"the woken one left as {left}"]
    )
    let_go = crash.command("release-hold")
    troubles += [] if let_go.code == 0 else [f"did not let go: {let_go}"]
    rounds.tell(
        "hold.router.before", troubles + crash.differences(uninterrupted[1]) + crash.journal_troubles()
    )
    rounds.close()


def test_a_lost_terminal_stops_nothing(
    crash: Crash, uninterrupted: Uninterrupted, sample: Sample, say: Say
) -> None:
    rounds = Rounds(crash, "terminal lost in the middle: the run goes on to its end", say)
    for point in sample(GONE_AT, 2):
        crash.reset()
        since = crash.mark()
        master, slave = pty.openpty()
        process = crash.start(*RUN, stdin=slave, stdout=slave, stderr=slave, preexec_fn=_make_terminal)
        os.close(slave)
        reader = _Reader(master)
        until(lambda point=point: crash.passed(point))
        reader.hang_up()
        code = ended(process).code
        failed = crash.saw(rounds.claim, since)
        troubles = [f"{failed} requests failed"] if failed else []
        state = crash.newest().state
        troubles += [] if state is RunState.FINISHED and code == 0 else [f"the run is {state}, exit {code}"]
        rounds.tell(point, troubles + crash.differences(uninterrupted[1]) + crash.journal_troubles())
    rounds.close()


class _Reader:
    """Reads a terminal as a window would, until the window is closed."""

    def __init__(self, master: int) -> None:
        self._master, self._end = master, os.pipe()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def hang_up(self) -> None:
        """Close the window: the kernel sends HUP to whoever has this terminal."""
        os.write(self._end[1], b"x")
        self._thread.join()
        for descriptor in (self._master, *self._end):
            os.close(descriptor)

    def _read(self) -> None:
        import select

        while True:
            ready, _, _ = select.select([self._master, self._end[0]], [], [])
            if self._end[0] in ready:
                return
            os.read(self._master, 4096)


def _make_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
