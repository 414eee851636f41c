"""Where emergencies journal: beside nothing that they may have to restore, and found again by the next command."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from backout.errors import StoreUnreadable
from backout.message import msg

_MIN_FREE_BYTES = 65536


def new_place(name: str) -> Path:
    """Return a new folder of that name in the first place that can be written.

    Raises:
        StoreUnreadable: None can.
    """
    for place in _places():
        folder = place / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir(mode=0o700, exist_ok=True)
            if not _ours(place):
                continue
            folder.mkdir(mode=0o700)
            probe = folder / "probe"
            probe.write_bytes(b"x" * _MIN_FREE_BYTES)
            probe.unlink()
        except OSError:
            continue
        return folder
    raise StoreUnreadable(
        msg("No folder can be written for the emergency's journal."),
        state=msg("Nothing was changed."),
        next_command=f"df -h {tempfile.gettempdir()}",
    )


def left_behind(service: str) -> Iterator[Path]:
    """Yield the folders of emergencies of a service that were not merged yet, oldest first in each place."""
    for place in _places():
        if _ours(place):
            yield from sorted(f for f in place.glob(f"{service}-*") if f.suffix != ".merged" and f.is_dir())


def _places() -> tuple[Path, ...]:
    import platformdirs

    shared = [Path("/dev/shm"), Path(tempfile.gettempdir())]
    own = f"backout-{os.getuid()}"
    return (Path(platformdirs.user_state_dir("backout")) / "emergency", *(folder / own for folder in shared))


def _ours(place: Path) -> bool:
    """Return whether nobody else can write there: in a shared folder the name could have been taken by anybody."""
    try:
        found = place.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
