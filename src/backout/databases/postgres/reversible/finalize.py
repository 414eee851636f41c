"""The end of the way back: what migrations have hidden is really dropped, and they can no longer be taken back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from backout.databases.postgres.reversible import following, journal, key_log
from backout.databases.postgres.reversible.back import NotReversible
from backout.databases.postgres.reversible.catalog import NAMED, read
from backout.databases.postgres.reversible.commit import commit
from backout.databases.postgres.reversible.conversion import forget
from backout.databases.postgres.reversible.functions import path_of
from backout.databases.postgres.reversible.given_back import set_aside_rows
from backout.databases.postgres.reversible.held import KINDS, Held, documents, held, path
from backout.databases.postgres.reversible.journal import Entry, Migration
from backout.databases.postgres.reversible.link import Link, LinkError, scalar
from backout.databases.postgres.reversible.locks import LOCK_MS, under_locks
from backout.databases.postgres.reversible.names import SCHEMA, ident
from backout.databases.postgres.reversible.relatives import below
from backout.databases.postgres.reversible.relax import marker_of
from backout.databases.postgres.reversible.rows import store
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.tables import word_of
from backout.databases.postgres.reversible.work import Work
from backout.migration import HiddenThing

_STILL_NEEDED = "2BP01"


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was dropped.

    Attributes:
        things: With their sizes, as they were before.
        rows: How many images of rows that the migrations had changed.
        freed_bytes: What the file system has back.
        statements: What was run.
        seconds: How long the locks were held.
    """

    things: list[HiddenThing]
    rows: int
    freed_bytes: int
    statements: list[str]
    seconds: float


def finalize(link: Link, migrations: Sequence[Migration], *, patience_s: float, dry_run: bool) -> Dropped:
    """Drop what migrations have hidden, in one transaction.

    Args:
        link: A session in autocommit that holds the migration lock.
        migrations: Applied or failed ones, none of which comes after one that is left out; and undone ones.
        patience_s: Seconds to go on asking for the locks.
        dry_run: Do it and roll it back.

    Raises:
        Locked: The tables are in use.
        NotReversible: Something needs what is hidden; nothing was changed.
        CommitUnanswered: It is not known whether it was committed.
    """
    numbers = tuple(one.id for one in migrations)
    entries = journal.entries(link, numbers, "applied", "undone")
    now = read(link)
    tables = sorted(_tables(now, entries))
    numbered = {
        (one.key.oid, one.key.sub) for one in held(now, entries) if one.key.kind in ("table", "column")
    }
    begun_s = 0.0

    def attempt() -> Dropped:
        nonlocal begun_s
        begun_s = time.monotonic()
        link.rows(f"SET LOCAL lock_timeout = '{LOCK_MS}ms'")
        return _drop(link, migrations, entries)

    try:
        dropped = under_locks(link, tables, attempt, patience_s=patience_s, numbered=numbered)
    except LinkError as error:
        if error.sqlstate == _STILL_NEEDED:
            raise NotReversible(f"{error}: {error.fields.get('D', '')}") from error
        raise
    if dry_run:
        link.rows("ROLLBACK")
    else:
        commit(link)
    return replace(dropped, seconds=time.monotonic() - begun_s)


def _tables(now: Snapshot, entries: list[Entry]) -> set[int]:
    """Return the oids of the tables that are dropped, or lose a column or an index."""
    own = {one.key: now.things[one.key] for one in held(now, entries)}
    followed = {
        entry.operation["table"]
        for entry in entries
        if entry.kind == following.ASIDE and Key("table", entry.operation["table"]) in now.things
    }
    return followed | {
        int(thing["table"]) if key.kind in ("index", "trigger") else key.oid
        for key, thing in own.items()
        if key.kind in ("table", "column", "index", "trigger")
    }


def _drop(link: Link, migrations: Sequence[Migration], entries: list[Entry]) -> Dropped:
    work = Work(link)
    before = work.now
    things = held(before, entries)
    told = documents(link, before, things) + set_aside_rows(link, [one.id for one in migrations])
    for entry in entries:
        if entry.kind == following.ASIDE:
            following.unfollow(work, entry.id)
        if "rebuilt" in entry.operation:
            key_log.forget(work, entry.id)
        if entry.kind == "column.retyped" or {"recipe", "taken", "rebuilt"} & entry.operation.keys():
            forget(work, entry.id, entry.operation)
    # Of all the indexes first, and so on: a type can be hidden by one migration, and the last column of it by a later one.
    # Of tables those below, too: PostgreSQL drops none that others inherit from.
    for one in sorted(things, key=lambda one: (_turn_of(one.key), len(below(before, one.key.oid)))):
        _drop_one(work, one)
    _forget(link, before, work.now)
    log_bytes = _log_bytes(link)
    rows = store.forget(link, [one.id for one in migrations])
    numbers = ", ".join(str(one.id) for one in migrations)
    link.rows(
        f"UPDATE {SCHEMA}.change SET state = 'finalized' WHERE migration IN ({numbers}) AND state IN ('applied', 'undone')"
    )
    journal.set_state(link, f"id IN ({numbers}) AND state = 'undone'", "discarded")
    journal.set_state(link, f"id IN ({numbers}) AND state IN ('applied', 'failed')", "finalized")
    freed_bytes = sum(one.size_bytes for one in told if one.kind != "rows") + log_bytes - _log_bytes(link)
    return Dropped(told, rows, freed_bytes, work.done, 0)


def _log_bytes(link: Link) -> int:
    return int(scalar(link, f"SELECT pg_catalog.pg_total_relation_size('{store.LOG}')") or 0)


def _turn_of(key: Key) -> int:
    return KINDS.index("named" if key.kind in NAMED else key.kind)


def _drop_one(work: Work, one: Held) -> None:
    """Drop a hidden thing; never what depends on it besides, which nobody was asked about."""
    if one.key not in work.now.things:
        return  # it went with its table, or with a column that it is an index of
    if one.key.kind == "schema":
        work.run(f"DROP SCHEMA {ident(one.name)}")
        return
    if one.key.kind == "trigger":
        path_there = work.table_path(work.now.things[one.key]["table"], called=one.called)
        work.run(f"DROP TRIGGER {ident(one.name)} ON {path_there}")
        return
    if one.key.kind == "function":
        work.run(f"DROP ROUTINE {path_of(work, one.key.oid, one.called)}")
        return
    if one.key.kind != "column":
        word = word_of(work.now.things[one.key]) if one.key.kind == "table" else one.key.kind.upper()
        work.run(f"DROP {word} {path(work.now, one.key)}")
        return
    table = work.table_path(one.key.oid, called=one.called)
    if any(t["name"] == one.name for t in work.now.of_table("trigger", one.key.oid).values()):
        work.run(f"DROP TRIGGER {ident(one.name)} ON {table}")
    marker = marker_of(one.name)
    if any(column["name"] == marker for column in work.now.columns(one.key.oid).values()):
        work.run(f"ALTER TABLE {table} DROP COLUMN {ident(marker)}")
    work.run(f"ALTER TABLE {table} DROP COLUMN {ident(one.name)}")


def _forget(link: Link, before: Snapshot, after: Snapshot) -> None:
    """Take out of the other entries what went with what was dropped: an index that two of its columns' entries renamed."""
    gone = before.things.keys() - after.things.keys()
    for entry in journal.every_entry(link):
        record = entry.operation.get("hidden") or {}
        kept = [one for one in record.get("renamed", ()) if Key(one["kind"], one["oid"]) not in gone]
        if len(kept) != len(record.get("renamed", ())):
            operation = entry.operation | {"hidden": record | {"renamed": kept}}
            journal.write(
                link, Entry(entry.id, entry.migration, entry.part, entry.kind, operation, entry.state)
            )
