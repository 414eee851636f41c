"""A backup restored beside the live database, to be looked into or to stand ready for a way back."""

from __future__ import annotations

from collections.abc import Callable

from backout.app.backups import find_backup, named_or_newest
from backout.app.parts import Parts
from backout.app.readings import PreparedCheck, Readings, known_readings
from backout.app.restorable import restorable
from backout.assess.backups import is_prepared, unpacked_bytes
from backout.assess.rules.backups import SPACE_FACTOR
from backout.backup import Backup, BesideDatabase, BesideState, PastRestore, RestoreOrder
from backout.databases.restores import Checked, Restorable, Switchable
from backout.document import Document, Json
from backout.errors import NotPossible, StepFailed
from backout.facts import DataFacts
from backout.message import Message, msg
from backout.plan.restoring import database_name

Note = Callable[[Message], None]
_LOOK_S = 8.0


class Restored(Document):
    """A backup that stands restored beside the live database."""

    database: BesideDatabase
    rows: dict[str, int]
    problems: tuple[Message, ...] = ()
    seconds: float


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
    backup = _for_way_back(parts) if prepare and name is None else named_or_newest(parts, name)
    if prepare:
        _refuse_some_tables(backup)
    Readings(parts).good(backup, note)
    order = restore_order(parts, database, backup, "prepared" if prepare else "restored")
    began_s = parts.clock.monotonic_s()
    state = database.restore_state(order.database)
    took: PastRestore | None = None
    if state.state is not BesideState.RESTORED:
        database.start_restore(order, None)
        state = _await(parts, database, order, note)
        took = PastRestore(
            backup=backup.name,
            identity=backup.identity,
            format=backup.format,
            size_bytes=backup.size_bytes,
            at=parts.clock.now(),
            seconds=round(parts.clock.monotonic_s() - began_s, 3),
        )
    found: Checked = database.check_restored(order.database, order.live, note=note)
    if not found.problems:
        noted = PreparedCheck(
            fingerprint=found.fingerprint,
            migration_head=found.migration_head,
            rows=found.rows,
            written=found.written,
        )
        body: dict[str, Json] = {"database": order.database, "oid": state.oid, "backup": backup.name}
        body |= {"took": took.model_dump(mode="json")} if took is not None else {}
        parts.journal.append("backup.restored", body | {"found": noted.model_dump(mode="json")})
    if prepare and not found.problems:
        _drop_older(parts, database, order.database)
    return Restored(
        database=state,
        rows=found.rows,
        problems=found.problems,
        seconds=round(parts.clock.monotonic_s() - began_s, 3),
    )


def _refuse_some_tables(backup: Backup) -> None:
    if backup.tables:
        raise NotPossible(
            msg(
                "{name} has the rows of {tables} alone: nothing to swap in.",
                name=backup.name,
                tables=", ".join(backup.tables),
            ),
            state=msg("Nothing was restored."),
            next_command=f"backout backup restore {backup.name}   # to look into it",
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
            d
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
        server_major=live.server_version // 10000, readings=known_readings(parts, (backup,)),
    )  # fmt: skip
    unpacked = unpacked_bytes(facts, backup, restore.unpacked_bytes)
    return RestoreOrder(
        backup=backup.name,
        path=backup.path,
        format=backup.format,
        identity=backup.identity,
        database=standing.name if standing else database_name(live.name, what, parts.clock.now()),
        live=live.name,
        server=standing.server if standing else _elsewhere(parts, database),
        jobs=restore.jobs,
        tables=backup.rows_in,
        needed_bytes=None if unpacked is None else round(unpacked * SPACE_FACTOR),
        space_path=restore.free_space_path,
        min_free_bytes=restore.min_free_bytes,
        max_bytes_per_s=restore.max_bytes_per_s,
        max_replica_lag_bytes=restore.max_replica_lag_bytes,
        max_wal_bytes=restore.max_wal_bytes,
    )


def _elsewhere(parts: Parts, database: object) -> str | None:
    """Return the other server that a new database is made on, if there is one."""
    return database.elsewhere(None) if parts.switch and isinstance(database, Switchable) else None


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
