"""Named fault points around every outside effect, so that the crash suite can end the process exactly there.

Nothing happens unless ``BACKOUT_FAULT=name`` or ``BACKOUT_FAULT=name:N`` (the Nth passing) is set;
then the process ends itself by SIGKILL, or with ``BACKOUT_FAULT_SIGNAL=STOP`` freezes itself there, so that
something can be done to it or behind its back. ``BACKOUT_FAULT_LOG=path`` appends each name passed, so that
the suite can find all points of a run instead of listing them by hand.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

_passed: Counter[str] = Counter()


def fault_point(name: str) -> None:
    """Mark a place where the process may be ended by the crash suite."""
    wanted, log = os.environ.get("BACKOUT_FAULT"), os.environ.get("BACKOUT_FAULT_LOG")
    if not wanted and not log:
        return
    _passed[name] += 1
    if log:
        with Path(log).open("a", encoding="utf-8") as out:
            out.write(f"{name}:{_passed[name]}\n")
    if wanted in (f"{name}:{_passed[name]}", name):
        os.kill(os.getpid(), signal.Signals[f"SIG{os.environ.get('BACKOUT_FAULT_SIGNAL', 'KILL')}"])
