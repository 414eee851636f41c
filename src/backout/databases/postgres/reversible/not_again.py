"""What a way forward does not do again: to rows that were written while it was taken back, what a migration did to earlier ones.

Filling a column that the migration made is done again (`refill.py`); an UPDATE of a column that was there before, also of one
that an earlier migration made, and a DELETE are not: nobody knows whether the rows of since are meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backout.databases.postgres.heads import HISTORY_TABLES
from backout.databases.postgres.reversible.asking import Asking, Unanswered
from backout.databases.postgres.reversible.held import path
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.names import SCHEMA, is_hidden
from backout.databases.postgres.reversible.rows.store import TURN
from backout.databases.postgres.reversible.snapshot import Key, Snapshot


def not_again(asking: Asking, now: Snapshot, entries: Sequence[Entry]) -> list[str]:
    """Return it, a sentence for each table and migration; nothing where no row was written since.

    Args:
        asking: Asks, before any lock; what it cannot tell in time is said to be unknown.
        now: The catalog.
        entries: Of the migrations that would be made again, or are.
    """
    return [
        one
        for entry in entries
        if entry.kind == "rows" and entry.state == "undone"
        for table, what in _changed(now, entry)
        for one in _told(asking, now, entry.migration, table, what)
    ]


def _changed(now: Snapshot, entry: Entry) -> Iterator[tuple[Key, str]]:
    told = entry.operation
    updated = set(told.get("updated", ())) - set(told.get("refilled", ()))
    deleted = set(told.get("deleted", ()))
    for oid in told["tables"]:
        table = now.things.get(Key("table", oid))
        if table is None or is_hidden(str(table["name"])) or table["name"] in HISTORY_TABLES:
            continue
        what = [word for word, of in (("UPDATE", updated), ("DELETE", deleted)) if oid in of]
        if what:
            yield Key("table", oid), " and ".join(what)


def _told(asking: Asking, now: Snapshot, migration: int, table: Key, what: str) -> Iterator[str]:
    """Say how many rows it is about: those that a younger transaction wrote than the one that took the migration back.

    Source: PostgreSQL 15 documentation, 8.18 "Pseudo-Types" and 5.5 "System Columns": age() of a row's xmin counts transactions.
    """
    back = f"SELECT pg_catalog.age(xmin) FROM {SCHEMA}.migration WHERE id = {migration}"
    by_us = f"SELECT written_by FROM {TURN} WHERE migration = {migration} AND back"
    done = f"what its {what} did to earlier rows is not done to them"
    called = now.name(table)
    try:
        rows = asking.count(
            f"SELECT count(*) FROM {path(now, table)} WHERE pg_catalog.age(xmin) < ({back}) AND xmin::text NOT IN ({by_us})"
        )
    except Unanswered as error:
        yield f"rows of {called} may have been written since migration {migration} was taken back (not counted: {error}): {done}"
        return
    if rows:
        yield f"{rows} row(s) of {called} were written since migration {migration} was taken back: {done}"
