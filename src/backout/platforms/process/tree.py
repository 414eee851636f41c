"""The digest of a release folder: what was approved can be told from what lies there."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

_NOT_CONTENT = "__pycache__"
_RUNTIME_FOLDERS = frozenset({"log", "tmp"})


def digest_of_tree(folder: Path) -> str:
    """Return ``sha256:…`` over names, executable bits, link texts and contents below a folder.

    Left out: `__pycache__`, `*.pyc`, and `log` and `tmp` at the top, where a running service writes (the
    default linked folders of Capistrano). Links are not followed.

    Source: capistrano-rails README, "Symlinks": `linked_dirs` "log", "tmp/pids", "tmp/cache", "tmp/sockets".

    Raises:
        OSError: Something below the folder cannot be read.
    """
    total = hashlib.sha256()
    for path in _walk(folder, top=True):
        name = os.fsencode(path.relative_to(folder))
        info = path.lstat()
        if stat.S_ISLNK(info.st_mode):
            kind, content = b"l", os.fsencode(os.readlink(path))  # noqa: PTH115  the exact bytes
        elif stat.S_ISDIR(info.st_mode):
            kind, content = b"d", b""
        elif stat.S_ISREG(info.st_mode):
            kind = b"x" if info.st_mode & stat.S_IXUSR else b"f"
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
        else:
            continue  # a socket or pipe of the running service
        # Lengths first, so that no two trees give the same bytes.
        total.update(b"%c%d:%d:" % (kind, len(name), len(content)) + name + content)
    return "sha256:" + total.hexdigest()


def _walk(folder: Path, *, top: bool = False) -> list[Path]:
    found: list[Path] = []
    with os.scandir(folder) as entries:
        names = sorted(entries, key=lambda e: os.fsencode(e.name))
    for entry in names:
        if (
            entry.name == _NOT_CONTENT
            or entry.name.endswith(".pyc")
            or (top and entry.name in _RUNTIME_FOLDERS)
        ):
            continue
        found.append(Path(entry.path))
        if entry.is_dir(follow_symlinks=False):
            found += _walk(Path(entry.path))
    return found
