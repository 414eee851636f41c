"""HAProxy's server state file: what it says, its servers are again after a reload or a start.

Source: HAProxy 2.6 configuration manual, `server-state-file`, `load-server-state-from-file`; seen with 2.6.12: a weight, a
drain and a maintenance that were set by the runtime API are there again after a reload (SIGUSR2 to the master); the order of
lines, and lines of other backends from another time, do not matter.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from backout.errors import StepFailed
from backout.message import msg
from backout.routers import durable


def same(path: Path, state: str, backend: str) -> bool:
    """Tell whether the file says the same of weights and maintenance of a backend's servers; raises OSError."""
    return _told(path.read_text(errors="replace"), backend) == _told(state, backend)


def obstacle(path: Path) -> str | None:
    """Return why the file could not be written; None: nothing is known that stands against it. Changes nothing."""
    target = path.resolve()
    if not target.parent.is_dir():
        return f"there is no folder {target.parent}"
    if not os.access(target.parent, os.W_OK | os.X_OK):
        return f"no right to write in {target.parent}"
    try:
        _others(_text_of(target), "")
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:
        return str(error)
    return None


def owner_lost(path: Path) -> bool:
    """Tell whether it belongs to somebody else whom this process cannot give it back to after writing it."""
    try:
        found = path.stat()
    except OSError:
        return False
    return os.geteuid() not in (0, found.st_uid)


def write(path: Path, state: str, backend: str) -> None:
    """Write what `show servers state BACKEND` says in place of that backend's lines, at once and durably.

    Lines of other backends stay as they are, and so do a symbolic link, the mode, and the owner where this process may
    set it.

    Raises:
        StepFailed: It cannot be written, or is no server state file.
    """
    target = path.resolve()
    try:
        told = [line for line in state.splitlines() if line.strip()]
        durable.replace(target, "\n".join([*told, *_others(_text_of(target), backend)]) + "\n")
    except (OSError, ValueError) as error:
        raise _failed(path, getattr(error, "strerror", None) or str(error)) from error


def by_hand(path: Path, look: str, backend: str) -> str:
    """Return what a person types to do the same: through a link, and not at once.

    Args:
        path: The file.
        look: Prints what `show servers state BACKEND` says.
        backend: Its name.
    """
    file = shlex.quote(str(path))
    others = f"others=$(awk '$1 ~ /^[0-9]+$/ && NF > 7 && $2 != \"{backend}\"' {file} 2>/dev/null)"
    return f'{others}; {{ {look}; echo "$others"; }} | grep . > {file}'


def _text_of(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def _others(text: str, backend: str) -> list[str]:
    """Return the lines of other backends; raises ValueError where it is another kind of file: it is not written over."""
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and lines[0].strip() != "1":
        raise ValueError("it is no server state file (format 1)")
    return [line for line in lines[1:] if not line.startswith("#") and line.split()[1:2] != [backend]]


def _told(state: str, backend: str) -> list[tuple[str, str, str]]:
    """Return server, administrative state and weight, of lines as `show servers state` prints them."""
    rows = [line.split() for line in state.splitlines() if not line.startswith("#")]
    return sorted((row[3], row[6], row[7]) for row in rows if len(row) > 7 and row[1] == backend)


def _failed(path: Path, why: str) -> StepFailed:
    return StepFailed(
        msg("{path} could not be written: {why}.", path=str(path), why=why),
        state=msg(
            "HAProxy treats its servers as it was told to, until it is reloaded: then it does as this file says."
        ),
        next_command=f"ls -ld {shlex.quote(str(path.parent))} {shlex.quote(str(path))}",
    )
