"""Rows that have a value more than once which a key that comes back allows once: all but one get another value, or are set aside.

That is done before the way back, in a short transaction of its own: the key's index is built then, while everybody works.
"""

from __future__ import annotations

from collections.abc import Sequence

from backout.databases.postgres.reversible.built import renamed
from backout.databases.postgres.reversible.catalog import read
from backout.databases.postgres.reversible.commit import commit
from backout.databases.postgres.reversible.given_back import bring_back, give_back
from backout.databases.postgres.reversible.journal import Entry, Operation, every_entry
from backout.databases.postgres.reversible.link import Link
from backout.databases.postgres.reversible.locks import LOCK_MS, under_locks
from backout.databases.postgres.reversible.parse import keys_of
from backout.databases.postgres.reversible.remedies import (
    ONCE,
    Remedy,
    brings_key,
    is_told,
    sets_of,
    table_of,
)
from backout.databases.postgres.reversible.rows.quiet import exactly, quietly
from backout.databases.postgres.reversible.set_right import put_right
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.work import Moved, Work
from backout.faults import fault_point


def twice(now: Snapshot, operation: Operation) -> Remedy | None:
    """Return what becomes of the rows that have a key twice; None: nothing was told, or its table is not there.

    Of rows with the same value the one stays that was not written for longest: one from before the migration, where there is one.
    """
    if not is_told(operation) or Key("table", operation["table"]) not in now.things:
        return None
    index = renamed(now, operation["made"])
    # Source: PostgreSQL 15 documentation, 5.5 "System Columns": age() of a row's xmin counts transactions.
    keys = keys_of(index).replace("SELECT ", "SELECT ctid AS at, pg_catalog.age(xmin) AS age, ", 1)
    names = ", ".join(f"k{at}" for at in range(1, keys.count(" AS k") + 1))
    apart = "" if "NULLS NOT DISTINCT" in index else "WHERE k IS NOT NULL"
    later = f"SELECT at, row_number() OVER (PARTITION BY {names} ORDER BY age DESC, at) AS n FROM ({keys}) k {apart}"
    bad = f"ctid IN (SELECT at FROM ({later}) r WHERE n > 1)"
    told = operation.get(ONCE) or operation["remedy"]
    return Remedy(
        operation["table"], operation["called"], bad, "true", sets_of(now, operation), told["aside"]
    )


def set_keys_right(link: Link, entries: Sequence[Entry], *, patience_s: float) -> None:
    """Do it for all keys, in one transaction. Idempotent.

    Args:
        link: A session in autocommit.
        entries: Of all migrations that are to be taken back.
        patience_s: Seconds to go on asking for the locks.

    Raises:
        Locked: The tables are in use.
        Moved: There are rows that nothing helps; nothing was changed.
        LinkError: PostgreSQL refuses a value; nothing was changed.
    """
    keys = [one for one in entries if brings_key(one) and is_told(one.operation)]
    if not keys:
        return

    def attempt() -> None:
        link.rows(f"SET LOCAL lock_timeout = '{LOCK_MS}ms'")
        for entry in keys:
            work = Work(link, read)
            found = twice(work.now, entry.operation)
            if found is None:
                raise Moved(entry.operation["called"], "has not got its table")
            if found.aside and _hides_later(link, entry):
                why = "cannot have rows set aside, as a later migration has hidden columns of their table: take that back first, by itself"
                raise Moved(found.called, why)
            put_right(work, entry.id, found)

    under_locks(link, [table_of(one.operation) for one in keys], attempt, patience_s=patience_s)
    commit(link)
    fault_point("db.keys.right")


def _hides_later(link: Link, key: Entry) -> bool:
    """Tell whether a later migration has hidden columns of a key's table: they are there when the key's is made again alone.

    What a row that is set aside would have in them only the way back of theirs tells.
    """
    return any(
        one.migration > key.migration
        and one.state == "applied"
        and one.kind in ("column.hidden", "column.retyped")
        and one.operation.get("hidden", one.operation)["table"] == key.operation["table"]
        for one in every_entry(link)
    )


def undo_keys_right(link: Link, entries: Sequence[Entry], *, patience_s: float) -> None:
    """Give back what was done for keys of a way back that was not taken, when their indexes are gone. Idempotent.

    Raises:
        Locked: The tables are in use.
    """

    def attempt() -> None:
        link.rows(f"SET LOCAL lock_timeout = '{LOCK_MS}ms'")
        for entry in entries:
            work = Work(link, read)
            with quietly(link, [table_of(entry.operation)], []), exactly(link, path=False):
                give_back(work, entry.id, entry.operation)
                bring_back(work, entry.id, entry.operation)

    if entries:
        under_locks(link, [table_of(one.operation) for one in entries], attempt, patience_s=patience_s)
        commit(link)
