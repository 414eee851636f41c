"""Where the tests' files are: in memory where there is room, as servers make a thousand databases of 300 files each."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import psutil

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 8 << 30
"""Servers and files take less than one; the rest is for those who run beside."""


def use() -> None:
    """Let temporary folders be made in memory, of this process and of those it starts; a TMPDIR that is set stays."""
    if "TMPDIR" in os.environ or not _has_room():
        return
    folder = _MEMORY / "backout-tests"
    folder.mkdir(exist_ok=True)
    if folder.stat().st_uid == os.getuid():
        folder.chmod(0o1777)
    os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
    tempfile.tempdir = None


def _has_room() -> bool:
    if not os.access(_MEMORY, os.W_OK | os.X_OK):
        return False
    found = os.statvfs(_MEMORY)
    may_run_programs = not found.f_flag & os.ST_NOEXEC
    return (
        may_run_programs
        and min(found.f_bavail * found.f_frsize, psutil.virtual_memory().available) > _ROOM_BYTES
    )
