"""A primary key that goes from a column to the one that takes its place: a table has one, and the other must not be lost.

The hidden column keeps a unique index, built after the COMMIT; on the way back that one becomes the key again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backout.databases.postgres.reversible import constraints
from backout.databases.postgres.reversible.built import KEY_DROPPED
from backout.databases.postgres.reversible.link import scalar
from backout.databases.postgres.reversible.names import SCHEMA, ident
from backout.databases.postgres.reversible.snapshot import Snapshot
from backout.databases.postgres.reversible.work import Work

Record = dict[str, Any]


def given_up(work: Work, now: Snapshot, table: int, attnum: int, name: str) -> Record | None:
    """Drop the primary key that a column is part of.

    Args:
        work: The transaction.
        now: The catalog as it is.
        table: Oid.
        attnum: The column, which is about to be hidden.
        name: Its hidden name.

    Returns:
        What `taken_up` needs; None: there is none, or the transaction itself has made it.
    """
    for key, one in now.of_table("constraint", table).items():
        if one["kind"] != "p" or attnum not in one["columns"]:
            continue
        path = work.table_path(table, called=one["name"])
        work.run(f"ALTER TABLE {path} DROP CONSTRAINT {ident(one['name'])}")
        if work.was(key) is None:
            return None
        return constraints.kept(one, now) | {"oid": key.oid, "index": one["index"], "standby": f"{name}_p"}
    return None


def comes_back(work: Work, table: int) -> bool:
    """Tell whether the way back of what is applied brings a table another key, so that it cannot keep the one that it has."""
    given = f"(operation -> 'hidden' -> 'primary' ->> 'table')::int8 = {table}"
    dropped = f"kind = '{KEY_DROPPED}' AND (operation ->> 'table')::int8 = {table}"
    found = f"SELECT EXISTS (SELECT FROM {SCHEMA}.change WHERE state = 'applied' AND ({given} OR {dropped}))"
    return scalar(work.link, found) == "t"


def taken_up(work: Work, record: Record) -> None:
    """Have a key enforced again, by a unique index of its name; `promotions` makes it the primary key after the COMMIT."""
    table, called = record["table"], f"constraint {record['name']}"
    standby = [
        (key, one)
        for key, one in work.now.of_table("index", table).items()
        if one["name"] == record["standby"]
    ]
    path = work.table_path(table, called=called)
    if standby and standby[0][1]["valid"]:
        index = work.path("index", standby[0][0].oid, called=called)
        work.run(f"ALTER INDEX {index} RENAME TO {ident(record['name'])}")
        return
    columns = constraints.columns(work, table, record["columns"], called)
    # It was not built in time. Without it neither ON CONFLICT nor a foreign key to it would work.
    work.run(f"CREATE UNIQUE INDEX {ident(record['name'])} ON {path} ({columns})")


def promotions(now: Snapshot, record: Record | None, path: str) -> Iterator[str]:
    """Yield what makes a unique index the primary key: no row is looked at, since its columns are NOT NULL by then."""
    if record is None or any(
        one["name"] == record["name"] for one in now.of_table("constraint", record["table"]).values()
    ):
        return
    name = ident(record["name"])
    words = (" DEFERRABLE" if record["deferrable"] else "") + (
        " INITIALLY DEFERRED" if record["deferred"] else ""
    )
    if any(
        one["name"] == record["name"] and one["valid"]
        for one in now.of_table("index", record["table"]).values()
    ):
        yield f"ALTER TABLE {path} ADD CONSTRAINT {name} PRIMARY KEY USING INDEX {name}{words}"


def kept_by(record: Record) -> Record:
    """Return what a change has to tell `due.py` when it has hidden a column: the index that has to stand by, if any."""
    return {} if record["primary"] is None else {"wanted": [standby_of(record["primary"])]}


def standby_of(record: Record) -> Record:
    """Return the index that has to stand by for a key that was given up, as `due.py` has it built."""
    return {
        "table": record["table"],
        "name": record["standby"],
        "columns": record["columns"],
        "unique": True,
        "where": None,
    }
