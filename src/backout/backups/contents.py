"""What a file or folder holds, told by its first bytes: names lie."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import NamedTuple

from backout.backup import BackupFormat
from backout.message import Message, msg

_HEAD_BYTES = 512
# Source: the formats' own documents; for PGDMP: PostgreSQL 18, src/bin/pg_dump/pg_backup_archiver.c.
_OTHERS = (
    (b"\x28\xb5\x2f\xfd", msg("it is packed by zstd; unpack it: zstd -d")),
    (b"\xfd7zXZ\0", msg("it is packed by xz; unpack it: unxz")),
    (b"BZh", msg("it is packed by bzip2; unpack it: bunzip2")),
    (b"\x04\x22\x4d\x18", msg("it is packed by lz4; unpack it: lz4 -d")),
    (b"PK\x03\x04", msg("it is a zip archive; unpack it: unzip")),
    (b"\xff\xfe", msg("it is text in UTF-16, as PowerShell writes it; make it anew with pg_dump --file")),
    (b"Salted__", msg("it is encrypted by openssl")),
    (b"age-encryption.org/", msg("it is encrypted by age")),
)


class Content(NamedTuple):
    """What was found.

    Attributes:
        format: As a restore would take it; None: nothing that can be restored.
        trouble: Why it cannot be restored as it is, as far as the first bytes tell.
    """

    format: BackupFormat | None
    trouble: Message | None = None


def content_of(path: Path) -> Content:
    """Look at the first bytes.

    Raises:
        OSError: It cannot be read.
    """
    if path.is_dir():
        if (path / "toc.dat").is_file():
            return Content(BackupFormat.DIRECTORY)
        return Content(None, msg("it is a folder without toc.dat, which pg_dump -Fd would have written"))
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return Content(None, msg("it is empty"))
    if head.startswith(b"\x1f\x8b"):
        return Content(BackupFormat.PLAIN_GZIP, _inside_gzip(head))
    return _unpacked(head)


def _unpacked(head: bytes) -> Content:
    if head.startswith(b"PGDMP"):
        return Content(BackupFormat.CUSTOM)
    if head[257:262] == b"ustar":
        return Content(None, msg("it is a tar archive; make it anew with pg_dump -Fd or -Fc"))
    for magic, trouble in _OTHERS:
        if head.startswith(magic):
            return Content(None, trouble)
    if b"\0" in head:
        return Content(None, msg("it is neither SQL text nor an archive of pg_dump"))
    return Content(BackupFormat.PLAIN)


def _inside_gzip(head: bytes) -> Message | None:
    """Return what is wrong with what gzip holds; None: nothing, or the first bytes do not tell."""
    try:
        inner = zlib.decompressobj(31).decompress(head, _HEAD_BYTES)
    except zlib.error:
        return None  # Reading it will say so, with the place.
    if inner.startswith(b"PGDMP"):
        return msg("it is an archive of pg_dump -Fc inside gzip; unpack it: gunzip")
    return _unpacked(inner).trouble if inner else None
