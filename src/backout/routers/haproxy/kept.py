"""HAProxy's server state file: what it says, its servers are again after a reload or a start.

Source: HAProxy 2.6 configuration manual, `server-state-file`, `load-server-state-from-file`; seen with 2.6.12: a weight, a
drain and a maintenance that were set by the runtime API are there again after a reload (SIGUSR2 to the master).
"""

from __future__ import annotations

import shlex
from pathlib import Path

from backout.errors import StepFailed
from backout.message import msg
from backout.routers import durable


def same(path: Path, state: str, backend: str) -> bool:
    """Tell whether the file says the same of weights and maintenance of a backend's servers; raises OSError."""
    return _told(path.read_text(errors="replace"), backend) == _told(state, backend)


def write(path: Path, state: str) -> None:
    """Write what `show servers state` says, at once and durably; owner and mode stay.

    Raises:
        StepFailed: It cannot be written.
    """
    try:
        durable.replace(path, state)
    except OSError as error:
        raise _failed(path, error) from error


def _told(state: str, backend: str) -> list[tuple[str, str, str]]:
    """Return server, administrative state and weight, of lines as `show servers state` prints them."""
    rows = [line.split() for line in state.splitlines() if not line.startswith("#")]
    return sorted((row[3], row[6], row[7]) for row in rows if len(row) > 7 and row[1] == backend)


def _failed(path: Path, error: OSError) -> StepFailed:
    return StepFailed(
        msg("{path} could not be written: {why}.", path=str(path), why=error.strerror or str(error)),
        state=msg(
            "HAProxy treats its servers as it was told to, until it is reloaded: then it does as this file says."
        ),
        next_command=f"ls -ld {shlex.quote(str(path.parent))} {shlex.quote(str(path))}",
    )
