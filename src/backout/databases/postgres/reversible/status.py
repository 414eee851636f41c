"""How migrations stand now, and whether a way back would work: only looked at, and never waited for."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.alone import runs
from backout.databases.postgres.reversible.asking import Asking, Unanswered
from backout.databases.postgres.reversible.back import exceeding, moved_here
from backout.databases.postgres.reversible.catalog import read
from backout.databases.postgres.reversible.choosing import STATES_STAYED
from backout.databases.postgres.reversible.due import due_in
from backout.databases.postgres.reversible.given_back import set_aside_rows
from backout.databases.postgres.reversible.held import documents, held
from backout.databases.postgres.reversible.journal import Entry, Migration
from backout.databases.postgres.reversible.link import Link, objects, scalar
from backout.databases.postgres.reversible.locks import holders
from backout.databases.postgres.reversible.not_again import not_again
from backout.databases.postgres.reversible.outlook import obstacles, obstacles_again
from backout.databases.postgres.reversible.repaired_ahead import early
from backout.databases.postgres.reversible.rows.store import LOG
from backout.databases.postgres.reversible.since import rows_since
from backout.databases.postgres.reversible.snapshot import Snapshot
from backout.databases.postgres.reversible.touched_tables import tables_of
from backout.databases.postgres.reversible.violators import in_the_way
from backout.migration import LOCK_BUDGET_MS, HiddenThing
from backout.migration_status import (
    LockHolder,
    MigrationStatus,
    Outlook,
    RedoOutlook,
    RowsSince,
    RunningMigration,
)

_PATIENCE_S = 10.0
"""For how long `rollback` asks for a table, unless somebody says otherwise."""
_OWNED = """SELECT c.oid::regclass::text AS name FROM pg_catalog.pg_class c
  WHERE c.oid IN ({tables}) AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')"""


def read_status(
    link: Link,
    database: str,
    steps: int,
    *,
    only: Collection[int] | None = None,
    patience_s: float = _PATIENCE_S,
    budget_ms: float = LOCK_BUDGET_MS,
) -> MigrationStatus:
    """Return it. Ends within about two seconds, and takes no lock that keeps anybody from anything.

    Args:
        link: A session in autocommit.
        database: The database's name.
        steps: How many of the newest migrations would be taken back.
        only: Instead of those: these, in whatever state they are.
        patience_s: Whoever uses a table for longer may do so for longer than a rollback would ask for it.
        budget_ms: For how long the locks of a way may be held.
    """
    begun_s = time.monotonic()
    asking = Asking(link)
    standby = scalar(link, "SELECT pg_catalog.pg_is_in_recovery()") == "t"
    if not journal.installed(link):
        return MigrationStatus(
            database=database, standby=standby, possible="no", why=("No migration was run through backout.",)
        )
    migrations, entries = journal.migrations(link), journal.every_entry(link)
    running = _running(link, migrations)
    # One that was killed only looks as if it ran: what it had committed can be taken back.
    begun = {one.migration for one in entries} if running is None else set()
    stays = [
        one
        for one in migrations
        if one.state in STATES_STAYED or (one.state == "running" and one.id in begun)
    ]
    chosen = stays[-steps:] if only is None else [one for one in migrations if one.id in only]
    undone = [one for one in migrations if one.state == "undone"][:steps] if only is None else []
    wanted = [one for one in entries if one.migration in {m.id for m in chosen}]
    tables = sorted(tables_of(link, tuple(one.id for one in chosen), wanted))
    using = _holders(link, tables)
    again = [e for e in entries if e.migration in {m.id for m in undone}]
    looked = _Looked(asking, entries, wanted, again, budget_ms)
    no = [*_before(standby, running, chosen), *_not_owned(link, tables), *looked.no]
    unknown = [*looked.unknown, *(_waits(one) for one in using if one.seconds >= patience_s)]
    return MigrationStatus(
        database=database,
        standby=standby,
        possible="no" if no else "unknown" if unknown else "yes",
        why=(*no, *unknown),
        migrations=tuple(_outlook(one) for one in chosen),
        redo=_redo(undone, stays, looked, [*_before(standby, running, undone)]) if undone else None,
        rows=tuple(looked.rows),
        over_budget=tuple(looked.over_budget),
        holders=tuple(using),
        running=running,
        hidden=tuple(looked.hidden),
        hidden_bytes=looked.hidden_bytes,
        log_bytes=looked.log_bytes,
        due=tuple(looked.due),
        seconds=round(time.monotonic() - begun_s, 3),
    )


class _Looked:
    """What the catalog and the tables tell; what was not to be had in time is unknown.

    Args:
        asking: Asks.
        entries: Of every migration.
        wanted: Of those that would be taken back.
        again: Of those that would be made again.
        budget_ms: For how long locks may be held.
    """

    def __init__(
        self,
        asking: Asking,
        entries: Sequence[Entry],
        wanted: Sequence[Entry],
        again: Sequence[Entry],
        budget_ms: float,
    ) -> None:
        self.no: list[str] = []
        self.unknown: list[str] = []
        self.unread: list[str] = []
        self.rows: list[RowsSince] = []
        self.over_budget: list[str] = []
        self.due: list[str] = []
        self.hidden: list[HiddenThing] = []
        self.hidden_bytes: int | None = None
        self.log_bytes: int | None = None
        self.not_forward: list[str] = []
        self.not_again: list[str] = []
        now = self._catalog(asking)
        if now is None:
            return
        self.no += [f"{one}." for one in obstacles(now, wanted)]
        self.due = [*early(asking.link, entries), *due_in(now, list(entries))]
        self.rows = rows_since(asking, now, wanted)
        self.over_budget = exceeding(now, wanted, self.rows, budget_ms)
        self.no += [_stops(one) for one in self.rows if one.stops and one.rows]
        self.unknown += [
            f"Whether {one.what} can have its value in every row is unknown: {one.why}."
            for one in self.rows
            if one.stops and one.rows is None
        ]
        self._sizes(asking, now, entries)
        self.not_forward = [f"{one}." for one in obstacles_again(now, again)]
        self.not_again = not_again(asking, now, again)

    def _catalog(self, asking: Asking) -> Snapshot | None:
        try:
            with asking.question() as link:
                return read(link)
        except Unanswered as error:
            self.unread.append(f"The catalog could not be read: {error}.")
            self.unknown += self.unread
            return None

    def _sizes(self, asking: Asking, now: Snapshot, entries: Sequence[Entry]) -> None:
        try:
            with asking.question() as link:
                self.hidden = documents(link, now, held(now, entries)) + set_aside_rows(link)
                # Empty, it has an index all the same.
                size = "CASE WHEN pg_catalog.pg_relation_size('{0}') > 0 THEN pg_catalog.pg_total_relation_size('{0}') ELSE 0 END"
                self.log_bytes = int(scalar(link, f"SELECT {size.format(LOG)}") or 0)
        except Unanswered:
            return  # a table is locked, or there are too many: its size stays unknown
        self.hidden_bytes = sum(one.size_bytes + (one.estimated_bytes or 0) for one in self.hidden)


def _redo(
    undone: Sequence[Migration], stays: Sequence[Migration], looked: _Looked, no: list[str]
) -> RedoOutlook:
    later = ", ".join(str(one.id) for one in stays if one.id > undone[0].id)
    if later:
        no.append(
            f"Migration {later} came after it and is applied: backout db rollback takes that back first."
        )
    no += looked.not_forward
    return RedoOutlook(
        migrations=tuple(_outlook(one) for one in undone),
        possible="no" if no else "unknown" if looked.unread else "yes",
        why=tuple(no or looked.unread),
        not_again=tuple(looked.not_again),
    )


def _stops(one: RowsSince) -> str:
    if one.kind == "needed":
        return f"{one.what} has to be dropped to lose a default or a parameter's name, and is needed by {one.value}."
    if one.kind in ("violators", "referred", "twice"):
        return in_the_way(one)
    if one.kind == "unfit":
        return f"{one.rows} row(s) have a value in {one.what} that its earlier type cannot hold, and it must have one: change them first."
    return f"{one.rows} row(s) would have NULL in {one.what}."


def _before(standby: bool, running: RunningMigration | None, chosen: Sequence[Migration]) -> list[str]:
    found = ["This server is a standby: nothing can be changed here."] if standby else []
    if running is not None:
        found.append(f"A migration runs now, in server process {running.pid}.")
    if not chosen:
        found.append("There is no migration to take back.")
    found += [
        f"Migration {one.id} was finalized: what it had hidden is dropped."
        for one in chosen
        if one.state == "finalized"
    ]
    found += [
        f"Migration {one.id} was only observed: nothing of it is kept, so that it cannot be taken back, nor what was before it."
        for one in chosen
        if one.state == "observed"
    ]
    found += [moved_here(one) for one in chosen if one.elsewhere]
    found += [
        f"Migration {one.id} was cut short, and its end is not noted yet: backout db finish."
        for one in chosen
        if one.state == "running" and running is None
    ]
    return found


def _not_owned(link: Link, tables: Sequence[int]) -> list[str]:
    if not tables:
        return []
    names = [one["name"] for one in objects(link, _OWNED.format(tables=", ".join(map(str, tables))))]
    return [f"This role does not own {', '.join(names)}."] if names else []


def _running(link: Link, migrations: Sequence[Migration]) -> RunningMigration | None:
    """Return the migration whose process lives; one that was killed only looks as if it ran."""
    pid = runs(link)
    if pid is None:
        return None
    journalled = next((one for one in reversed(migrations) if one.state == "running"), None)
    return RunningMigration.model_validate(
        {
            "pid": pid,
            "migration": journalled.id if journalled else None,
            "command": journalled.command if journalled else None,
            "started_at": journalled.started_at if journalled else None,
        }
    )


def _holders(link: Link, tables: Sequence[int]) -> list[LockHolder]:
    return [
        LockHolder(pid=one.pid, who=one.who, seconds=one.seconds, query=one.query, table=one.table)
        for one in holders(link, tables)
    ]


def _waits(one: LockHolder) -> str:
    return f"Process {one.pid} ({one.who}) uses {one.table} for {one.seconds:.0f} s: a rollback would wait for it, or give up."


def _outlook(one: Migration) -> Outlook:
    return Outlook.model_validate(
        {
            "id": one.id,
            "release": one.release,
            "state": one.state,
            "since": one.state_at,
            "age_s": round(one.state_age_s, 1),
        }
    )
