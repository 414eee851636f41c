"""How many bytes the data of a dump in directory format has before compression."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from backout.databases.postgres.dumps.unpack import chunks

# A gzip file ends with its unpacked size modulo 2^32, and no deflate stream unpacks to more than 1032 times its
# bytes: that of a small file is told without reading it.
# Source: RFC 1952, 2.3.1 (ISIZE); zlib 1.3, "zlib Technical Details" (maximum compression factor).
TOLD_UP_TO_BYTES = (1 << 32) // 1032
_SIZE_BYTES = 4


def unpacked_size(folder: Path, jobs: int, *, told_up_to_bytes: int = TOLD_UP_TO_BYTES) -> int:
    """Return the bytes of all data files of a dump that was just made, unpacked; reads the large ones to their end.

    Raises:
        Damaged: One is no whole gzip file.
        OSError: One cannot be read.
    """
    files = [path for path in folder.iterdir() if ".dat" in path.suffixes and path.name != "toc.dat"]
    with ThreadPoolExecutor(jobs) as several:  # zlib lets the other threads go on
        return sum(several.map(partial(_size, at_most=told_up_to_bytes), files))


def _size(path: Path, *, at_most: int) -> int:
    size = path.stat().st_size
    if path.suffix != ".gz":
        return size
    if size > at_most or size < _SIZE_BYTES:
        return sum(len(data) for data in chunks(path, packed=True))
    with path.open("rb") as file:
        file.seek(-_SIZE_BYTES, os.SEEK_END)
        return int.from_bytes(file.read(_SIZE_BYTES), "little")
