"""What was read of backups, and found in restored databases, remembered in the journal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from backout.app.parts import Parts
from backout.app.restorable import restorable
from backout.backup import Backup, PastRestore, Reading
from backout.databases.restores import Checked
from backout.document import Document
from backout.errors import (
    BackupUnusable,
)
from backout.message import Message, msg

Note = Callable[[Message], None]
_LOOK_S = 8.0


class PreparedCheck(Document):
    """What was found in a restored database that was found to be whole, for the journal."""

    fingerprint: str
    migration_head: str | None
    rows: dict[str, int]
    written: str


class Readings:
    """Reads backups to their end, and remembers in the journal what it read; the target `backups` of steps."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def known(self, backup: Backup) -> Reading | None:
        """Return what reading this very data told last, or None."""
        for event in reversed(self._parts.journal.events(kinds=("backup.read",), newest=200)):
            reading = Reading.model_validate(event.body["reading"])
            if (reading.backup, reading.identity) == (backup.name, backup.identity):
                return reading
        return None

    def checked(self, name: str) -> Checked | None:
        """Return what was found in a database when it was prepared, if nobody has written to it since; else None."""
        database = restorable(self._parts)
        oid = database.restore_state(name).oid
        for event in reversed(self._parts.journal.events(kinds=("backup.restored",), newest=50)):
            if (event.body["database"], event.body["oid"]) == (name, oid):
                found = PreparedCheck.model_validate(event.body["found"])
                untouched = found.written == database.written(name, _LOOK_S)
                return (
                    Checked(found.fingerprint, found.migration_head, found.rows, (), found.written)
                    if untouched
                    else None
                )
        return None

    def read(self, backup: Backup, note: Note) -> Reading:
        """Read it to its end now, and note the result."""
        found = restorable(self._parts).read(backup, note=note)
        self._parts.journal.append("backup.read", {"reading": found.model_dump(mode="json")})
        return found

    def good(self, backup: Backup, note: Note) -> Reading:
        """Return a good reading: the last one where it is fresh, else a new one; raises `BackupUnusable`."""
        fresh = timedelta(hours=self._parts.restore.verified_for_h)
        known = self.known(backup)
        if known is None or not known.ok or self._parts.clock.now() - known.read_at > fresh:
            known = self.read(backup, note)
        if not known.ok:
            raise BackupUnusable(
                msg(
                    "Backup {name} cannot be restored: {problems}",
                    name=backup.name,
                    problems="; ".join(str(p) for p in known.problems),
                ),
                state=msg("Nothing was restored; the live database is as it was."),
                next_command="backout backup list   # then plan with another one: --backup NAME",
            )
        return known


def known_readings(parts: Parts, backups: tuple[Backup, ...]) -> dict[str, Reading]:
    """Return what reading these backups told last, by name, where their data is still what was read."""
    readings = Readings(parts)
    return {b.name: r for b in backups if (r := readings.known(b)) is not None}


def past_restores(parts: Parts) -> tuple[PastRestore, ...]:
    """Return the restores beside the live database that were asked for by hand, newest first."""
    events = parts.journal.events(kinds=("backup.restored",), newest=50)
    told = (e.body.get("took") for e in reversed(events))
    return tuple(PastRestore.model_validate(one) for one in told if one is not None)
