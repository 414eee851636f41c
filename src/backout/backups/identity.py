"""Whether a backup can have changed since it was looked at."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

_HASH_BYTES = 1 << 20
MANIFEST = "manifest.json"
"""Inside a backup that is a folder; beside one that is a file, behind its name: ``FILE.manifest.json``."""


def manifest_of(path: Path) -> Path:
    """Return where the manifest of a backup lies, if it has one."""
    return path / MANIFEST if path.is_dir() else path.with_name(f"{path.name}.{MANIFEST}")


def identity_of(path: Path) -> str:
    """Return a text that changes when a file of the backup, or its manifest, gets another size or time.

    Raises:
        OSError: It is not there, or cannot be looked at.
    """
    told = hashlib.sha256()
    for name, file in sorted(_files(path)):
        stat = file.stat()
        told.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode(errors="surrogateescape"))
    return f"stat:{told.hexdigest()[:32]}"


def size_of(path: Path) -> int:
    """Return the bytes of a backup's files."""
    return sum(file.stat().st_size for _, file in _files(path))


def checksums_of(folder: Path) -> dict[str, str]:
    """Return ``sha256:…`` of every file in a folder but the manifest, by relative name."""
    sums = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = str(path.relative_to(folder))
        if name == MANIFEST:
            continue
        told = hashlib.sha256()
        with path.open("rb") as file:
            while data := file.read(_HASH_BYTES):
                told.update(data)
        sums[name] = f"sha256:{told.hexdigest()}"
    return sums


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if not path.is_dir():
        yield ".", path
        beside = manifest_of(path)
        if beside.is_file():
            yield MANIFEST, beside
        return
    for folder, _, names in os.walk(path, onerror=_raised):
        for name in names:
            file = Path(folder, name)
            yield str(file.relative_to(path)), file


def _raised(error: OSError) -> None:
    raise error
