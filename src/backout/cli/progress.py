"""Live progress of a run: a spinner on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING

from backout.cli.common import err, style
from backout.execute.journal import Event
from backout.message import Message

if TYPE_CHECKING:
    from rich.status import Status

    from backout.execute.run import Run
    from backout.plan.base import StepKind


class Progress:
    """Tells a person what a run does, as it happens; see `Runner.watch`."""

    def __init__(self, kinds: dict[str, StepKind]) -> None:
        self._kinds = kinds
        self._status: Status | None = None
        self._live = sys.stderr.isatty()

    def __call__(self, what: Event | Message, run: Run) -> None:
        """Take an event, or a note of the step under way."""
        if isinstance(what, Message):
            self._note(str(what))
            return
        key = str(what.body.get("key", ""))
        if what.kind == "step.begun":
            self._begin(f"{key[:2]}  {self._sentence(run, key)}")
        elif what.kind == "step.confirmed":
            self._done(run, key)
        elif what.kind in ("step.failed", "run.stopped", "run.finished"):
            self._end()
            if what.kind == "step.failed":
                err(f"{style('✗', 'red')} {key[:2]}  {self._sentence(run, key)}")
        elif what.kind in ("run.started", "run.resumed"):
            err(f"run {run.id}{' goes on' if what.kind == 'run.resumed' else ''}")

    def _begin(self, text: str) -> None:
        self._end()
        if not self._live:
            return
        from rich.console import Console

        self._status = Console(stderr=True).status(text, spinner="dots")
        self._status.start()

    def _done(self, run: Run, key: str) -> None:
        self._end()
        step = run.progress(key)
        took = f"{step.seconds:.1f} s" if step.seconds is not None else ""
        if step.already:
            took = "already so"
        err(f"{style('✓', 'green')} {key[:2]}  {self._sentence(run, key)}  {took}")

    def _note(self, text: str) -> None:
        if self._status is not None:
            self._status.update(text)
        else:
            err(f"      {text}")

    def _end(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _sentence(self, run: Run, key: str) -> str:
        spec = run.plan.step(key).spec
        return str(self._kinds[spec.kind].describe(spec))


def stop_safely() -> threading.Event:
    """Make the first Ctrl-C (or TERM) stop at the next safe moment, the second at once; a lost terminal stops nothing.

    The operator confirmed the plan: when the terminal goes away the run goes on to its end, and
    `backout status` tells of it.
    """
    interrupt = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if interrupt.is_set():
            raise KeyboardInterrupt
        interrupt.set()
        err("Stopping at the next safe moment. Once more ends at once; either way, backout resume goes on.")

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return interrupt
