"""Where emergencies journal: beside nothing that they may have to restore, and found again by the next command."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from backout.app.parts import Parts
from backout.document import Document
from backout.errors import StoreUnreadable
from backout.ids import new_id
from backout.message import Message, msg
from backout.platforms.abilities import HasPlace

_MIN_FREE_BYTES = 65536
_NOTE = "origin.json"


class Origin(Document):
    """Whose journal it is: stands beside it, because one user's emergencies of all services share these folders.

    Attributes:
        config: The configuration's absolute path; None: there was none.
        place: Where the releases lie, as the platform tells; None: it does not.
    """

    service: str
    environment: str
    config: str | None
    place: str | None

    def same(self, other: Origin) -> bool:
        """Return whether both are of one service: its place tells even where no configuration could be read."""
        if self.place is not None and other.place is not None:
            return self.place == other.place
        return self == other


def origin_of(parts: Parts) -> Origin:
    """Return whose journal `parts` write."""
    return Origin(
        service=parts.site.service,
        environment=parts.site.environment,
        config=str(parts.config_path.resolve()) if parts.config_path is not None else None,
        place=parts.platform.place if isinstance(parts.platform, HasPlace) else None,
    )


def journal_apart(parts: Parts, why: Message) -> None:
    """Make `parts` journal in a folder of their own; the next command that can use the state file merges it.

    Raises:
        StoreUnreadable: No folder can be written.
    """
    name = f"{parts.site.service}-{new_id(parts.site.environment, parts.clock.now())}"
    parts.journal_in(new_place(name.replace("/", "-"), origin_of(parts)), why)


def new_place(name: str, origin: Origin) -> Path:
    """Return a new folder of that name, with the note whose it is, in the first place that can be written.

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
            (folder / _NOTE).write_text(origin.model_dump_json(), encoding="utf-8")
        except OSError:
            continue
        return folder
    raise StoreUnreadable(
        msg("No folder can be written for the emergency's journal."),
        state=msg("Nothing was changed."),
        next_command=f"df -h {tempfile.gettempdir()}",
    )


def left_behind(parts: Parts) -> Iterator[Path]:
    """Yield the folders of emergencies of this service that were not merged yet, oldest first in each place."""
    for place in _places():
        folders = sorted(f for f in place.iterdir() if f.suffix != ".merged") if _ours(place) else []
        for folder in folders:
            try:
                note = Origin.model_validate_json((folder / _NOTE).read_bytes())
            except (OSError, ValueError):
                continue  # Not an emergency's, or one that was killed before it did anything.
            if note.same(origin_of(parts)):
                yield folder


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
