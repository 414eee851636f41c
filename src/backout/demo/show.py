"""The demo itself: what a person would type, typed for them, while clients never stop."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from backout.demo.figures import broken_promises, closing_lines
from backout.demo.plays import PLAYS
from backout.demo.stage import Stage
from backout.demo.typist import Narrator, Typist
from backout.errors import ExitCode
from backout.plan.model import Scenario


def show(*, as_json: bool, scenario: Scenario = Scenario.CODE) -> ExitCode:
    """Run the demo, print what it measured, and return 0 only if all of it holds.

    Raises:
        NotPossible: No PostgreSQL can be had, or something could not be started.
    """
    narrator = Narrator(quiet=as_json)
    with (
        _ends_by_exception(),
        tempfile.TemporaryDirectory(prefix="backout-demo-", ignore_cleanup_errors=True) as folder,
    ):
        directory = Path(folder)
        directory.chmod(0o755)
        began_s = time.monotonic()
        narrator.say("Starting a PostgreSQL, a front port, and the service `collector` …")
        with Stage(directory / "stage", fsync=False) as stage:
            narrator.say(f"  ready after {time.monotonic() - began_s:.1f} s\n")
            measured = PLAYS[scenario](stage, Typist(stage, narrator), narrator)
    return _close(narrator, measured)


def _close(narrator: Narrator, measured: dict[str, Any]) -> ExitCode:
    broken = broken_promises(measured)
    if narrator.quiet:
        sys.stdout.write(json.dumps(measured | {"holds": not broken, "broken": broken}, indent=2) + "\n")
    for line in closing_lines(measured):
        narrator.say(line)
    for promise in broken:
        narrator.say(f"  FAILED  {promise}")
    return ExitCode.PROOF_FAILED if broken else ExitCode.DONE


@contextmanager
def _ends_by_exception() -> Iterator[None]:
    """Make TERM and HUP unwind like Ctrl-C does, so that nothing is left running."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
