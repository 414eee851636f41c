"""Safety backups: made by a run right before it overwrites the live database, and kept as long as its way back is open."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from backout.app.readings import Readings
from backout.backup import Backup
from backout.errors import StepFailed
from backout.faults import fault_point
from backout.message import Message, msg

if TYPE_CHECKING:
    from collections.abc import Callable

    from backout.app.parts import Parts

    Note = Callable[[Message], None]

_LOOK_S = 8.0
_BEGUN = "backup.safety"


class SafetyBackups:
    """The target `safety` of steps."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def safety_of(self, step: str, name: str) -> Backup | None:
        """Return the backup of that name if this step made it and read it back; None: it did not, or it is gone."""
        backup = self._own(step, name)
        known = Readings(self._parts).known(backup) if backup is not None else None
        return backup if known is not None and known.ok else None

    def _own(self, step: str, name: str) -> Backup | None:
        # The name was free when the step wrote this down: whatever has it since is the step's own.
        begun = self._parts.journal.events(kinds=(_BEGUN,), newest=50)
        if not any((e.body["step"], e.body["name"]) == (step, name) for e in begun):
            return None
        return self._named(name)

    def make_safety(self, step: str, name: str, tables: tuple[str, ...], note: Note) -> Backup:
        """Make it, and read it back to its end: it is the only way back from what comes next.

        Idempotent: one that this step made, and was killed before it had read it, is only read.

        Raises:
            StepFailed: Another one has its name, or it cannot be restored as reading it tells.
        """
        backup = self._own(step, name) or self._make(step, name, tables, note)
        fault_point("backup.safety.read.before")
        found = Readings(self._parts).read(backup, note)
        missing = sorted(set(backup.rows_in) - set(found.tables))
        if not found.ok or missing:
            raise StepFailed(
                msg(
                    "The safety backup {name} was made and cannot be restored: {problems}.",
                    name=name,
                    problems="; ".join(map(str, found.problems)) or f"it has no rows of {', '.join(missing)}",
                ),
                state=msg("Nothing was overwritten; writes are held."),
                next_command="backout abort   # then look at the disk of the backups",
            )
        return backup

    def _make(self, step: str, name: str, tables: tuple[str, ...], note: Note) -> Backup:
        from backout.app.backups import create_backup

        if self._named(name) is not None:
            raise StepFailed(
                msg("There is a backup {name} already, and this run did not make it.", name=name),
                state=msg("Nothing was overwritten; writes are held."),
                next_command="backout abort   # then make the plan anew",
            )
        self._parts.journal.append(_BEGUN, {"step": step, "name": name})
        return create_backup(self._parts, keep=None, note=note, name=name, tables=tables)

    def _named(self, name: str) -> Backup | None:
        from backout.app.restorable import store_of

        return next((b for b in store_of(self._parts).found(_LOOK_S) if b.name == name), None)


def safety_pins(parts: Parts, window: datetime) -> dict[str, Message]:
    """Return the safety backups that were begun after `window`: each is the only way back of its run."""
    begun = parts.journal.events(kinds=(_BEGUN,), newest=200)
    return {
        str(e.body["name"]): msg("what {run} overwrote", run=str(e.body["step"]).partition("/")[0])
        for e in begun
        if e.at >= window
    }
