"""Durable small files at the target, and errors of its disk in words."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backout.errors import TargetUnreachable
from backout.message import msg


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Make `text` the file's content, all or nothing, and durable. Idempotent.

    Raises:
        OSError: Disk full, read-only or not permitted; the old content still stands.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError about a path at the target into `TargetUnreachable`."""
    try:
        yield
    except OSError as error:
        raise TargetUnreachable(
            msg(
                "{path}: {why}", path=str(error.filename or path), why=error.strerror or type(error).__name__
            ),
            state=msg("What stood there before still stands"),
            next_command=f"ls -ld {shlex.quote(str(path.parent))}; df -h {shlex.quote(str(path.parent))}",
        ) from error
