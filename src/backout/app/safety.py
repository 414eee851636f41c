"""Safety backups: made by a run right before it overwrites the live database, and kept as long as its way back is open."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from backout.backup import Backup
from backout.errors import StepFailed
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
        """Return the backup of that name if this step made it; None: it did not, or it is gone."""
        # The name was free when the step wrote this down: whatever has it since is the step's own.
        begun = self._parts.journal.events(kinds=(_BEGUN,), newest=50)
        if not any((e.body["step"], e.body["name"]) == (step, name) for e in begun):
            return None
        return self._named(name)

    def make_safety(self, step: str, name: str, note: Note) -> Backup:
        """Make it; raises `StepFailed` where another one has its name."""
        from backout.app.backups import create_backup

        if self._named(name) is not None:
            raise StepFailed(
                msg("There is a backup {name} already, and this run did not make it.", name=name),
                state=msg("Nothing was overwritten; writes are held."),
                next_command="backout abort   # then make the plan anew",
            )
        self._parts.journal.append(_BEGUN, {"step": step, "name": name})
        return create_backup(self._parts, keep=None, note=note, name=name)

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
