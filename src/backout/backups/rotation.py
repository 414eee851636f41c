"""Which backups are old enough to be removed: pure."""

from __future__ import annotations

from backout.backup import Backup


def beyond(own: list[Backup], keep: int) -> list[Backup]:
    """Return what is older than the newest `keep` of the whole database; one of some tables counts for none."""
    kept, older = 0, []
    for backup in own:
        if kept >= keep:
            older.append(backup)
        elif not backup.tables:
            kept += 1
    return older
