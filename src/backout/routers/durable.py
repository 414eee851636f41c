"""Replaces a file of a router at once and durably: whoever reads it finds the old text or the new one, whole."""

from __future__ import annotations

import contextlib
import glob
import os
import stat
import tempfile
from pathlib import Path

_DRAFT = ".backout"


def replace(path: Path, text: str) -> None:
    """Write a file so that a kill or a power cut leaves the old text or the new one; the mode stays, and the owner where this process may set it.

    The draft begins with a dot, so that no ``include *.conf`` reads it. What a link leads to is written, and not the link.

    Raises:
        OSError: It cannot be written; the file is as it was.
    """
    path = path.resolve()
    try:
        before: os.stat_result | None = path.stat()
    except FileNotFoundError:
        before = None
    fd, draft = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_DRAFT, dir=path.parent)
    try:
        with os.fdopen(fd, "w") as file:
            file.write(text)
            file.flush()
            if before is not None:
                _give(fd, before)
            os.fchmod(fd, 0o644 if before is None else stat.S_IMODE(before.st_mode))
            os.fsync(fd)
        Path(draft).replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise


def clear(path: Path) -> None:
    """Delete drafts of `replace` that were killed; for a caller that keeps others from writing the file meanwhile."""
    path = path.resolve()
    for draft in path.parent.glob(f".{glob.escape(path.name)}.*{_DRAFT}"):
        draft.unlink(missing_ok=True)


def _give(fd: int, before: os.stat_result) -> None:
    """Give it owner and group as before, or the group alone: a user who is not root may give it to nobody else."""
    found = os.fstat(fd)
    if (found.st_uid, found.st_gid) == (before.st_uid, before.st_gid):
        return
    try:
        os.fchown(fd, before.st_uid, before.st_gid)
    except PermissionError:
        with contextlib.suppress(PermissionError):
            os.fchown(fd, -1, before.st_gid)
