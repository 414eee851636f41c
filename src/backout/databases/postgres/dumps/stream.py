"""The SQL text of a backup, piece by piece."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

from backout.backup import BackupFormat

_PIECE_BYTES = 1 << 20


def checked_sql(path: Path, format: BackupFormat) -> Iterator[bytes]:
    """Yield the SQL text of a plain backup, unpacked.

    Raises:
        OSError: It cannot be read; EOFError, zlib.error: it is cut off or damaged.
    """
    with gzip.open(path) if format is BackupFormat.PLAIN_GZIP else path.open("rb") as text:
        while piece := text.read(_PIECE_BYTES):
            yield piece
