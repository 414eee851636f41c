"""Reads a file to its end, unpacked, in constant memory; damage is an error that names the place."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from backout.message import Message, msg

CHUNK_BYTES = 1 << 20
_PACKED_BYTES = 1 << 18
_GZIP = 31
"""Window bits that make zlib read a gzip header and compare CRC and length. Source: zlib 1.2.13, zlib.h."""
CHANGED = msg("it changed while it was looked at; somebody may still be writing it")


class Damaged(Exception):
    """The file is not as it was written; `why` says what and where."""

    def __init__(self, why: Message) -> None:
        super().__init__(str(why))
        self.why = why


def chunks(path: Path, *, packed: bool, seen: Callable[[bytes], object] | None = None) -> Iterator[bytes]:
    """Yield the file's content, about a MiB at a time.

    Args:
        path: The file.
        packed: Whether it is packed by gzip; several members (pigz, files put together) are one content.
        seen: Gets the bytes as they lie on the disk, for a checksum.

    Raises:
        Damaged: It is empty, cut short, or a checksum of gzip's does not fit.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        size = CHUNK_BYTES if not packed else _PACKED_BYTES
        raw = iter(lambda: file.read(size), b"")
        told = _told(raw, seen) if seen else raw
        yield from _unpacked(told) if packed else told


def _told(raw: Iterator[bytes], seen: Callable[[bytes], object]) -> Iterator[bytes]:
    for data in raw:
        seen(data)
        yield data


def _unpacked(raw: Iterator[bytes]) -> Iterator[bytes]:
    member, members, at = zlib.decompressobj(_GZIP), 0, 0
    for data in raw:
        rest = data
        while rest:
            if member.eof:
                rest = rest.lstrip(b"\0")  # Padding, as on tapes.
                if not rest:
                    break
                member = zlib.decompressobj(_GZIP)
            try:
                out = member.decompress(rest, CHUNK_BYTES)
            except zlib.error as error:
                raise Damaged(
                    msg("gzip says at byte {at} or before: {why}", at=at + len(data), why=_words(error))
                ) from None
            if out:
                yield out
            rest = member.unused_data if member.eof else member.unconsumed_tail
            members += member.eof
        at += len(data)
    if not member.eof:
        # What zlib still holds back cannot be more than a few bytes.
        raise Damaged(msg("cut short: gzip's end is missing after byte {at}", at=at))


def _words(error: zlib.error) -> str:
    return str(error).rpartition(": ")[2]
