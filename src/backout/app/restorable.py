"""The database, where it can be dumped and restored, and where its backups are."""

from __future__ import annotations

from backout.app.parts import Parts
from backout.backups.base import BackupStore
from backout.databases.restores import Restorable
from backout.errors import NotPossible
from backout.message import msg

_NOTHING = msg("Nothing was changed.")


def store_of(parts: Parts) -> BackupStore:
    """Return where the backups are; raises `NotPossible` where that is not configured."""
    if parts.backups is None:
        raise NotPossible(
            msg("Where the backups of {service} are is not configured.", service=parts.site.service),
            state=_NOTHING,
            next_command="backout init   # looks for them; then add `backups:` to backout.yaml",
        )
    return parts.backups


def restorable(parts: Parts) -> Restorable:
    """Return the database, if it can be dumped and restored; raises `NotPossible`."""
    database: object = parts.database
    if isinstance(database, Restorable):
        return database
    raise NotPossible(
        msg("No database is configured that can be dumped and restored."),
        state=_NOTHING,
        next_command="backout doctor",
    )
