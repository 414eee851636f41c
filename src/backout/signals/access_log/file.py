"""Reading a log from where it was left: over rotation and truncation, whole lines alone, never more than so many bytes.

What was read is known again by its last bytes, and not by the file's number: file systems give that to the next file, and
logrotate's `copytruncate` keeps it. So a renamed log, and a copy of one, are found under their new names. Only of a log that was
empty nobody can see that it was filled, copied and cut between two readings.

Source: logrotate(8) (`create`, `copytruncate`, `dateext`, `delaycompress`); nginx "Controlling nginx", log rotation: until
USR1, and from old workers after a reload, lines go to the renamed file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from backout.document import Document

MOST_BYTES = 32 * 1024 * 1024
"""Of one reading, and so far back goes the first one."""
_BLOCK = 1024 * 1024
"""Also the longest line of which the end is waited for."""
_TAIL = 1024
_MOST_SIBLINGS = 50


class Place(Document):
    """Until where a file was read.

    Attributes:
        inode: Tells an empty file from another one.
        offset: In bytes, behind a line's end.
        tail: Digest of the last bytes before it.
    """

    inode: int
    offset: int
    tail: str


class Places(Document):
    """Until where a log was read.

    Attributes:
        now: In the file under its name.
        earlier: In the one that had the name before, as long as it is there: it may still be written.
        behind: Whether there was more to read.
    """

    now: Place
    earlier: Place | None = None
    behind: bool = False


@dataclass(slots=True)
class _Open:
    file: BinaryIO
    offset: int

    @property
    def left(self) -> int:
        return max(0, os.fstat(self.file.fileno()).st_size - self.offset)

    def place(self) -> Place:
        return Place(
            inode=os.fstat(self.file.fileno()).st_ino,
            offset=self.offset,
            tail=_tail(self.file, self.offset),
        )


class Following:
    """One reading of a log.

    Args:
        path: Its name.
        places: Until where it was read; None: the first reading, of the last `MOST_BYTES`.
        files: Closes what is opened.

    Attributes:
        lost: Whether what came before a rotation or truncation cannot be found any more.
        at_the_end: Whether all whole lines were read.

    Raises:
        OSError: It cannot be read, or is no file.
    """

    def __init__(self, path: Path, places: Places | None, files: ExitStack) -> None:
        self.lost = self.at_the_end = False
        self._earlier: _Open | None = None
        file = files.enter_context(_opened(path))
        if places is None:
            size = os.fstat(file.fileno()).st_size
            self._now = _Open(file, max(0, size - MOST_BYTES))
            self._skip_to_a_line()
            return
        if _goes_on(file, places.now):
            self._now = _Open(file, places.now.offset)
            before = places.earlier
        else:
            self._now = _Open(file, 0)
            before = places.now
        if before is None:
            return
        found, skipped = _sibling(path, before, files)
        self._earlier = _Open(found, before.offset) if found is not None else None
        rotated, unread = before is places.now, places.behind and places.earlier is not None
        # With another rotation the earlier one is not looked for any more.
        self.lost = (rotated and (unread or skipped)) or (found is None and (rotated or unread))

    def blocks(self) -> Iterator[list[bytes]]:
        """Yield whole lines in blocks, the earlier file's first; what the caller does not take any more comes with the next reading."""
        left = MOST_BYTES
        for one in (self._earlier, self._now):
            while one is not None:
                if left <= 0:
                    return
                block = os.pread(one.file.fileno(), _BLOCK, one.offset)
                end = block.rfind(b"\n") + 1
                if not end and len(block) == _BLOCK:
                    end = len(
                        block
                    )  # Nobody's line: passed over, else its end would be waited for without end.
                if not end:
                    break
                one.offset += end
                left -= end
                yield block[:end].rstrip(b"\n").split(b"\n")
        self.at_the_end = True

    @property
    def unread_bytes(self) -> int:
        """What is still to be read."""
        return sum(one.left for one in (self._earlier, self._now) if one is not None)

    @property
    def places(self) -> Places:
        """Until where it was read."""
        return Places(
            now=self._now.place(),
            earlier=self._earlier.place() if self._earlier is not None else None,
            behind=not self.at_the_end,
        )

    def _skip_to_a_line(self) -> None:
        if not self._now.offset:
            return
        block = os.pread(self._now.file.fileno(), _BLOCK, self._now.offset)
        self._now.offset += block.find(b"\n") + 1


def _opened(path: Path) -> BinaryIO:
    # A pipe without a writer would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "no regular file")
    return os.fdopen(descriptor, "rb", buffering=0)


def _tail(file: BinaryIO, offset: int) -> str:
    length = min(_TAIL, offset)
    return blake2b(os.pread(file.fileno(), length, offset - length), digest_size=16).hexdigest()


def _goes_on(file: BinaryIO, place: Place) -> bool:
    """Tell whether this is the file that was read so far."""
    found = os.fstat(file.fileno())
    if not place.offset:
        return found.st_ino == place.inode
    return found.st_size >= place.offset and _tail(file, place.offset) == place.tail


def _sibling(path: Path, place: Place, files: ExitStack) -> tuple[BinaryIO | None, bool]:
    """Return the file that was read so far under another name, and whether there is one between that and the log."""
    newer = False
    for other in _rotated(path):
        try:
            file = _opened(other)
        except OSError:
            continue
        if _goes_on(file, place):
            return files.enter_context(file), newer
        newer = True
        file.close()
    return None, newer


def _rotated(path: Path) -> list[Path]:
    """Return what a rotation may have made of a log, the newest first: access.log.1, access.log-20260101, access-1.log."""
    own = re.escape(path.name)
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    names = re.compile(rf"{own}[.-].+|{stem}[._-][0-9][0-9T._-]*{suffix}(\..+)?")
    try:
        with os.scandir(path.parent) as entries:
            found = [
                (one.stat().st_mtime_ns, Path(one.path))
                for one in entries
                if names.fullmatch(one.name) and one.is_file()
            ]
    except OSError:
        return []
    return [other for _, other in sorted(found, reverse=True)[:_MOST_SIBLINGS]]
