"""What a plan has to know of backups, and of what a restore needs."""

from __future__ import annotations

from datetime import datetime

from backout.app.parts import Parts
from backout.app.readings import known_readings, past_restores
from backout.app.restorable import restorable
from backout.backup import BesideDatabase
from backout.backups.base import BackupStore
from backout.databases.restores import InTheWay, LiveDatabase, Restorable, RestoresTables, Switchable
from backout.errors import (
    BackoutError,
)
from backout.facts import DataFacts
from backout.message import Message, msg
from backout.observed import Observed


def observe_data(
    parts: Parts, deadline_s: float, now: datetime, tables: tuple[str, ...] = ()
) -> Observed[DataFacts] | None:
    """Return what a way back of the data rests on; None where no backups are configured."""
    if parts.backups is None or parts.database is None or parts.emergency:
        return None
    try:
        found = _look(parts, restorable(parts), parts.backups, deadline_s, now, tables)
    except BackoutError as error:
        return Observed[DataFacts](unknown=error.what, source="database and backups", observed_at=now)
    return Observed[DataFacts](value=found, source="database and backups", observed_at=now)


def _look(
    parts: Parts,
    database: Restorable,
    store: BackupStore,
    deadline_s: float,
    now: datetime,
    tables: tuple[str, ...],
) -> DataFacts:
    live = database.live(deadline_s)
    backups = store.found(deadline_s)
    in_the_way = _in_the_way(parts, database)
    beside = database.beside(deadline_s)
    return DataFacts(
        database=live.name,
        oid=live.oid,
        servers=_servers(parts, database, live.name, beside),
        restores_on=database.elsewhere(None) if parts.switch and isinstance(database, Switchable) else None,
        accepts=live.accepts,
        may_create=live.may_create,
        server_major=live.server_version // 10000,
        backups=backups,
        readings=known_readings(parts, backups[:50]),
        restored=past_restores(parts),
        beside=beside,
        rows=database.counts(live.name, exact=False, deadline_s=deadline_s) if live.accepts else {},
        free_bytes=database.free_bytes(parts.restore.free_space_path),
        blockers=in_the_way.blockers,
        slots=in_the_way.slots,
        unfit=_unfit(database, tables) if live.accepts else (),
        tenants=_tenants(parts, live, deadline_s, now),
    )


def _in_the_way(parts: Parts, database: Restorable) -> InTheWay:
    """Return what stands against making another database the live one, in the way that is configured."""
    if parts.switch is not None and isinstance(database, Switchable):
        return database.in_the_way_of_a_switch()
    return database.in_the_way()


def _servers(
    parts: Parts, database: Restorable, live: str, beside: tuple[BesideDatabase, ...]
) -> dict[str, str]:
    """Return where those databases are that are not on the server of the configured address."""
    found = {one.name: one.server for one in beside}
    if parts.switch is not None and isinstance(database, Switchable):
        found[live] = database.elsewhere(live)
    return {name: server for name, server in found.items() if server is not None}


def _unfit(database: object, tables: tuple[str, ...]) -> tuple[Message, ...]:
    if not tables:
        return ()
    if isinstance(database, RestoresTables):
        return database.unfit_tables(tables)
    return (msg("This database cannot take single tables back."),)


def _tenants(parts: Parts, live: LiveDatabase, deadline_s: float, now: datetime) -> Observed[int] | None:
    """Return how many tenants the live database has; None where no column is declared."""
    declared, database = parts.restore.tenants, parts.database
    if declared is None or database is None:
        return None
    schema, table, column = ('"' + part.replace('"', '""') + '"' for part in declared.split("."))
    try:
        if not live.accepts:
            return _unknown(declared, msg("Nobody can connect to {database}.", database=live.name), now)
        value = database.scalar(f"SELECT count(DISTINCT {column}) FROM {schema}.{table}", deadline_s)
    except BackoutError as error:
        return _unknown(declared, error.what, now)
    return Observed[int](value=int(str(value)), source=declared, observed_at=now)


def _unknown(declared: str, why: Message, now: datetime) -> Observed[int]:
    return Observed[int](unknown=why, source=declared, observed_at=now)
