"""Backups: made, listed, read to their end; and databases beside the live one, dropped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from backout.app.parts import Parts
from backout.app.readings import Readings
from backout.app.restorable import restorable, store_of
from backout.app.safety import safety_pins
from backout.assess.needed import needed
from backout.assess.versions import current_version
from backout.backup import Backup, BesideDatabase, Manifest, Reading
from backout.errors import (
    BackoutError,
    NoBackup,
    RunInProgress,
    UnknownBackup,
)
from backout.execute.run import RunState
from backout.message import Message, msg
from backout.report.backups import Backups, ListedBackup

Note = Callable[[Message], None]
_LOOK_S = 8.0
_NOTHING = msg("Nothing was changed.")


def find_backup(parts: Parts, name: str) -> Backup:
    """Return the backup of that name; raises `UnknownBackup`."""
    import difflib

    backups = store_of(parts).found(_LOOK_S)
    for backup in backups:
        if backup.name == name:
            return backup
    near = difflib.get_close_matches(name, [b.name for b in backups], n=3, cutoff=0.4)
    raise UnknownBackup(
        msg("There is no backup {name}. Near: {near}.", name=name, near=", ".join(near) or "none"),
        state=_NOTHING,
        next_command="backout backup list",
    )


def named_or_newest(parts: Parts, name: str | None) -> Backup:
    """Return the named backup, else the newest of the whole database; raises `UnknownBackup`, or `NoBackup` where there is none."""
    if name is not None:
        return find_backup(parts, name)
    backups = whole(store_of(parts).found(_LOOK_S))
    if backups:
        return backups[0]
    raise NoBackup(
        msg("There is no backup of {service}.", service=parts.site.service),
        state=_NOTHING,
        next_command="backout backup create",
    )


def whole(backups: tuple[Backup, ...]) -> tuple[Backup, ...]:
    """Return those of the whole database."""
    return tuple(b for b in backups if not b.tables)


def list_backups(parts: Parts) -> Backups:
    """Return every backup, newest first, with what is known of it, and the databases beside the live one."""
    readings, pinned = Readings(parts), pins(parts)
    listed = tuple(
        ListedBackup(backup=b, reading=readings.known(b), pinned=pinned.get(b.name))
        for b in store_of(parts).found(_LOOK_S)
    )
    try:
        return Backups(backups=listed, beside=restorable(parts).beside(_LOOK_S))
    except BackoutError as error:
        return Backups(backups=listed, unknown=error.what)


def drop_beside(parts: Parts, name: str) -> BesideDatabase:
    """Drop a database that stands beside the live one: restored, prepared or kept; returns what it was.

    Raises:
        UnknownBackup: There is none of that name.
        RunInProgress: A run that has not ended needs it.
    """
    from backout.app.run import open_runs

    database = restorable(parts)
    found = next((d for d in database.beside(_LOOK_S) if d.name == name), None)
    if found is None:
        raise UnknownBackup(
            msg("There is no database {name} beside the live one.", name=name),
            state=_NOTHING,
            next_command="backout backup list",
        )
    for run in open_runs(parts):
        if run.plan.data is not None and name in (run.plan.data.beside, run.plan.data.kept):
            raise RunInProgress(
                msg("Run {run} has not ended and needs {name}.", run=run.id, name=name),
                state=_NOTHING,
                next_command=f"backout resume {run.id}   # or: backout abort {run.id}",
            )
    database.stop_restore(name)
    database.drop_beside(name)
    parts.journal.append("backup.dropped", {"database": found.model_dump(mode="json")})
    return found


def pins(parts: Parts) -> dict[str, Message]:
    """Return the backups that must not be rotated, each with the reason.

    Kept are those that a way back needs whose window (`restore.keep_h`) is open (see `assess.needed`), and every backup that
    a run needs which has not ended. One that reading found damaged stands for none.
    """
    readings = Readings(parts)
    backups = tuple(b for b in whole(store_of(parts).found(_LOOK_S)) if not _damaged(readings.known(b)))
    window = parts.clock.now() - timedelta(hours=parts.restore.keep_h)
    found = dict(needed(backups, parts.book.newest(), window))
    return found | safety_pins(parts, window) | _needed_by_runs(parts)


def _damaged(reading: Reading | None) -> bool:
    return reading is not None and not reading.ok


def _needed_by_runs(parts: Parts) -> dict[str, Message]:
    from backout.app.run import open_runs

    waiting = (r for r in open_runs(parts) if r.plan.data is not None and r.state is not RunState.FINISHED)
    return {r.plan.data.backup: msg("run {run} needs it", run=r.id) for r in waiting if r.plan.data}


def create_backup(
    parts: Parts, *, keep: int | None, note: Note, name: str | None = None, tables: tuple[str, ...] = ()
) -> Backup:
    """Dump the live database (of `tables` alone the rows, if there are any) into the store, with a manifest.

    Older ones beyond `keep` are removed, pinned ones never.
    """
    store, database = store_of(parts), restorable(parts)
    now = parts.clock.now()
    name = name or f"{parts.site.service}_{now:%Y%m%d_%H%M%S}"
    draft = store.draft(name)
    try:
        dumped = database.dump(draft, jobs=parts.restore.jobs, note=note, tables=tables)
        manifest = Manifest.model_validate(
            dumped._asdict()
            | {
                "service": parts.site.service,
                "environment": parts.site.environment,
                "format": "directory",
                "files": {},
                "tables": tables,
                "release": _running(parts),
            }
        )
        made = store.publish(draft, name, manifest)
    except BaseException:
        store.discard(draft)
        raise
    parts.journal.append("backup.created", {"backup": made.model_dump(mode="json")})
    if keep is not None:
        removed = store.rotate(keep, set(pins(parts)))
        if removed:
            parts.journal.append("backup.rotated", {"removed": list(removed)})
            note(msg("Removed, beyond {keep}: {names}.", keep=keep, names=", ".join(removed)))
    return made


def _running(parts: Parts) -> str | None:
    from backout.app.observe import observe

    try:
        return current_version(observe(parts, _LOOK_S))
    except BackoutError:
        return None


def read_backup(parts: Parts, name: str | None, note: Note) -> Reading:
    """Read the named backup (None: the newest) to its end now; the reading says whether it can be restored."""
    return Readings(parts).read(named_or_newest(parts, name), note)
