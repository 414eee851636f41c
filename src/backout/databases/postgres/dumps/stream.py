"""The SQL text of a backup, piece by piece."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

from backout.backup import BackupFormat, RestoreOrder

_PIECE_BYTES = 1 << 20


def restore_text(order: RestoreOrder) -> Iterator[bytes]:
    """Yield the SQL text that the restore of a plain backup runs, unpacked.

    Raises:
        OSError: It cannot be read; EOFError, zlib.error: it is cut off or damaged.
    """
    path = Path(order.path)
    with gzip.open(path) if order.format is BackupFormat.PLAIN_GZIP else path.open("rb") as text:
        while piece := text.read(_PIECE_BYTES):
            yield piece
