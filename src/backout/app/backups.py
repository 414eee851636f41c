"""Backups: made, listed, read to their end, restored beside; and what a plan has to know of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from backout.app.parts import Parts
from backout.app.safety import safety_pins
from backout.assess.backups import is_prepared, unpacked_bytes
from backout.assess.rules.backups import SPACE_FACTOR
from backout.assess.versions import current_version
from backout.backup import Backup, BesideDatabase, BesideState, Manifest, Reading, RestoreOrder
from backout.backups.base import BackupStore
from backout.databases.restores import Checked, Restorable, RestoresTables
from backout.document import Document, Json
from backout.errors import (
    BackoutError,
    BackupUnusable,
    NoBackup,
    NotPossible,
    RunInProgress,
    StepFailed,
    UnknownBackup,
)
from backout.execute.run import RunState
from backout.facts import DataFacts, Observed
from backout.message import Message, msg
from backout.plan.restoring import database_name
from backout.report.backups import Backups, ListedBackup

Note = Callable[[Message], None]
_LOOK_S = 8.0
_NOTHING = msg("Nothing was changed.")


class Restored(Document):
    """A backup that stands restored beside the live database."""

    database: BesideDatabase
    rows: dict[str, int]
    problems: tuple[Message, ...] = ()
    seconds: float


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

    Kept is, for every release whose window (`restore.keep_h`) is open, the newest backup from before it, and
    every backup that a run needs which has not ended.
    """
    backups = store_of(parts).found(_LOOK_S)
    found: dict[str, Message] = {}
    window = parts.clock.now() - timedelta(hours=parts.restore.keep_h)
    releases = parts.book.newest()
    current = max((r.deployed_at for r in releases), default=None)
    for release in releases:
        if release.deployed_at < window and release.deployed_at != current:
            continue
        before = [b for b in backups if b.taken_at is not None and b.taken_at < release.deployed_at]
        if before:
            found[before[0].name] = msg("the way back from {version}", version=release.version)
    return found | safety_pins(parts, window) | _needed_by_runs(parts)


def _needed_by_runs(parts: Parts) -> dict[str, Message]:
    from backout.app.run import open_runs

    waiting = (r for r in open_runs(parts) if r.plan.data is not None and r.state is not RunState.FINISHED)
    return {r.plan.data.backup: msg("run {run} needs it", run=r.id) for r in waiting if r.plan.data}


def create_backup(parts: Parts, *, keep: int | None, note: Note, name: str | None = None) -> Backup:
    """Dump the live database into the store, with a manifest; older ones beyond `keep` are removed, pinned ones never."""
    store, database = store_of(parts), restorable(parts)
    now = parts.clock.now()
    name = name or f"{parts.site.service}_{now:%Y%m%d_%H%M%S}"
    draft = store.draft(name)
    try:
        dumped = database.dump(draft, jobs=parts.restore.jobs, note=note)
        manifest = Manifest.model_validate(
            dumped._asdict()
            | {
                "service": parts.site.service,
                "environment": parts.site.environment,
                "format": "directory",
                "files": {},
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
    return Readings(parts).read(_named_or_newest(parts, name), note)


def restore_backup(parts: Parts, name: str | None, *, prepare: bool, note: Note) -> Restored:
    """Restore a backup beside the live database and look whether it is whole; nothing is swapped.

    Args:
        parts: The service.
        name: The backup; None: with `prepare` the one that a way back would take, else the newest.
        prepare: Whether a way back of the data may use it: then the incident pays only for the swap. Earlier
            prepared ones are dropped once this one stands.
        note: Tells who watches.

    Idempotent: what stands restored from this very backup is not restored again.

    Raises:
        BackupUnusable, NotPossible, StepFailed: It was not restored; what was begun is dropped.
    """
    database = restorable(parts)
    backup = _for_way_back(parts) if prepare and name is None else _named_or_newest(parts, name)
    Readings(parts).good(backup, note)
    order = restore_order(parts, database, backup, "prepared" if prepare else "restored")
    began_s = parts.clock.monotonic_s()
    state = database.restore_state(order.database)
    if state.state is not BesideState.RESTORED:
        database.start_restore(order, None)
        state = _await(parts, database, order, note)
    found: Checked = database.check_restored(order.database, order.live, note=note)
    if not found.problems:
        noted = PreparedCheck(
            fingerprint=found.fingerprint,
            migration_head=found.migration_head,
            rows=found.rows,
            written=found.written,
        )
        body: dict[str, Json] = {"database": order.database, "oid": state.oid, "backup": backup.name}
        parts.journal.append("backup.restored", body | {"found": noted.model_dump(mode="json")})
    if prepare and not found.problems:
        _drop_older(parts, database, order.database)
    return Restored(
        database=state,
        rows=found.rows,
        problems=found.problems,
        seconds=round(parts.clock.monotonic_s() - began_s, 3),
    )


def _named_or_newest(parts: Parts, name: str | None) -> Backup:
    if name is not None:
        return find_backup(parts, name)
    backups = store_of(parts).found(_LOOK_S)
    if backups:
        return backups[0]
    raise NoBackup(
        msg("There is no backup of {service}.", service=parts.site.service),
        state=_NOTHING,
        next_command="backout backup create",
    )


def _for_way_back(parts: Parts) -> Backup:
    from backout.app.plan import plan
    from backout.assess.model import Request
    from backout.plan.model import Scenario

    made = plan(
        parts, Request(scenario=Scenario.FULL, accept=("schema-unknown", "space-unknown", "loss-unknown"))
    )
    assert made.data is not None
    return find_backup(parts, made.data.backup)


def restore_order(parts: Parts, database: Restorable, backup: Backup, what: str) -> RestoreOrder:
    """Return the order that restores a backup beside; under the name of what stands restored from it for the same end."""
    live, restore = database.live(_LOOK_S), parts.restore
    standing = next(
        (
            d.name
            for d in database.beside(_LOOK_S)
            if d.state is BesideState.RESTORED
            and d.run is None
            and is_prepared(d) == (what == "prepared")
            and (d.backup, d.identity) == (backup.name, backup.identity)
        ),
        None,
    )
    facts = DataFacts(
        database=live.name, oid=live.oid, accepts=live.accepts, may_create=live.may_create,
        server_major=live.server_version // 10000, readings=_readings(parts, (backup,)),
    )  # fmt: skip
    unpacked = unpacked_bytes(facts, backup, restore.unpacked_bytes)
    return RestoreOrder(
        backup=backup.name,
        path=backup.path,
        format=backup.format,
        identity=backup.identity,
        database=standing or database_name(live.name, what, parts.clock.now()),
        live=live.name,
        jobs=restore.jobs,
        needed_bytes=None if unpacked is None else round(unpacked * SPACE_FACTOR),
        space_path=restore.free_space_path,
        min_free_bytes=restore.min_free_bytes,
        max_bytes_per_s=restore.max_bytes_per_s,
        max_replica_lag_bytes=restore.max_replica_lag_bytes,
    )


def _await(parts: Parts, database: Restorable, order: RestoreOrder, note: Note) -> BesideDatabase:
    deadline_s = parts.clock.monotonic_s() + parts.restore.timeout_s
    told: str | None = None
    try:
        while True:
            state = database.restore_state(order.database)
            if state.state is BesideState.RESTORED:
                return state
            if state.state is not BesideState.RESTORING or parts.clock.monotonic_s() > deadline_s:
                raise StepFailed(
                    msg(
                        "The restore into {database} ended as {state}: {why}",
                        database=order.database,
                        state=state.state.value,
                        why=state.why or "",
                    ),
                    state=msg("The live database is as it was; what was begun is dropped."),
                    next_command="backout backup list",
                )
            if state.why and state.why != told:
                note(msg("{why}", why=state.why))
                told = state.why
            parts.clock.wait(0.2)
    except BaseException:
        database.stop_restore(order.database)
        database.drop_beside(order.database)
        raise


def _drop_older(parts: Parts, database: Restorable, keep: str) -> None:
    for beside in database.beside(_LOOK_S):
        if beside.name != keep and beside.state is BesideState.RESTORED and is_prepared(beside):
            database.drop_beside(beside.name)


def _readings(parts: Parts, backups: tuple[Backup, ...]) -> dict[str, Reading]:
    readings = Readings(parts)
    return {b.name: r for b in backups if (r := readings.known(b)) is not None}


def observe_data(
    parts: Parts, deadline_s: float, now: datetime, tables: tuple[str, ...] = ()
) -> Observed[DataFacts] | None:
    """Return what a way back of the data rests on; None where no backups are configured."""
    if parts.backups is None or parts.database is None or parts.emergency:
        return None
    try:
        found = _look(parts, restorable(parts), parts.backups, deadline_s, tables)
    except BackoutError as error:
        return Observed[DataFacts](unknown=error.what, source="database and backups", observed_at=now)
    return Observed[DataFacts](value=found, source="database and backups", observed_at=now)


def _look(
    parts: Parts, database: Restorable, store: BackupStore, deadline_s: float, tables: tuple[str, ...]
) -> DataFacts:
    live = database.live(deadline_s)
    backups = store.found(deadline_s)
    in_the_way = database.in_the_way()
    return DataFacts(
        database=live.name,
        oid=live.oid,
        accepts=live.accepts,
        may_create=live.may_create,
        server_major=live.server_version // 10000,
        backups=backups,
        readings=_readings(parts, backups[:50]),
        beside=database.beside(deadline_s),
        rows=database.counts(live.name, exact=False, deadline_s=deadline_s) if live.accepts else {},
        free_bytes=database.free_bytes(parts.restore.free_space_path),
        blockers=in_the_way.blockers,
        slots=in_the_way.slots,
        unfit=_unfit(database, tables) if live.accepts else (),
        tenants=_tenants(parts, deadline_s) if live.accepts else None,
    )


def _unfit(database: object, tables: tuple[str, ...]) -> tuple[Message, ...]:
    if not tables:
        return ()
    if isinstance(database, RestoresTables):
        return database.unfit_tables(tables)
    return (msg("This database cannot take single tables back."),)


def _tenants(parts: Parts, deadline_s: float) -> int | None:
    declared, database = parts.restore.tenants, parts.database
    if declared is None or database is None:
        return None
    schema, table, column = ('"' + part.replace('"', '""') + '"' for part in declared.split("."))
    try:
        value = database.scalar(f"SELECT count(DISTINCT {column}) FROM {schema}.{table}", deadline_s)
    except BackoutError:
        return None
    return value if isinstance(value, int) else None
