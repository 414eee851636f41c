"""What is done after a COMMIT, statement by statement: it takes long, or waits, and must never block anybody.

What is due is read from the catalog and the journal and stored nowhere: whoever comes after a kill finds the same.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from backout.databases.postgres.reversible import journal, primary
from backout.databases.postgres.reversible.catalog import Key, Snapshot, read
from backout.databases.postgres.reversible.fill import is_written
from backout.databases.postgres.reversible.journal import Entry, is_hiding
from backout.databases.postgres.reversible.link import Link, LinkError
from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.parse import index_of
from backout.faults import fault_point
from backout.migration import Unfinished

_NOT_AVAILABLE = "55P03"
_PATIENCE_S = 30.0
_LOCK_MS = 50
_BY_CHECK = re.compile(r"_bo_\d+(_\d+|_n)?_nn")
_SLOW = ("CREATE INDEX CONCURRENTLY", "CREATE UNIQUE INDEX CONCURRENTLY", "DROP INDEX CONCURRENTLY")


def finish(link: Link) -> list[Unfinished]:
    """Do what is due; return what failed. Idempotent."""
    # In a transaction, as the reading's `search_path` holds in one only.
    link.rows("BEGIN")
    statements = due(link)
    link.rows("COMMIT")
    failed = run_all(link, statements)
    _settle(link)
    return failed


def _settle(link: Link) -> None:
    """Note the oid of every key that is built now: later migrations may rename it, and it must not be built again."""
    link.rows("BEGIN")
    now = read(link)
    for entry in journal.every_entry(link):
        made = entry.operation.get("rebuild")
        if made is None or entry.state != "applied":
            continue
        kind = "constraint" if made["word"] else "index"
        for key, one in now.of_table(kind, made["table"]).items():
            if one["name"] == made["name"] and one["valid"]:
                rest = {name: value for name, value in entry.operation.items() if name != "rebuild"}
                journal.write(link, replace(entry, operation=rest | {"oid": key.oid}))
    link.rows("COMMIT")


def due(link: Link) -> list[str]:
    """Return the statements that are still to be run: constraints to be proven, indexes and keys to be built.

    Args:
        link: In a transaction, as the `search_path` of the reading holds in one only.
    """
    return due_in(read(link), journal.every_entry(link))


def due_in(now: Snapshot, entries: list[Entry]) -> list[str]:
    """Return the same for a catalog and journal that were read."""
    return [*_indexes(now, entries), *_wanted(now, entries), *owed(now, entries)]


def owed(now: Snapshot, entries: list[Entry]) -> list[str]:
    """Return what of it the schema lacks; without it a constraint would be missing, or not NOT NULL."""
    return [
        *_keys(now, entries),
        *_proofs(now, entries),
        *_values(now),
        *_promotions(now, entries),
    ]


def _indexes(now: Snapshot, entries: list[Entry]) -> Iterator[str]:
    """Yield what builds the indexes that find rows written while a column is hidden."""
    for entry in entries:
        record = entry.operation.get("hidden", {})
        name, hidden = record.get("written"), is_hiding(entry)
        if name is None or not hidden or Key("column", record["table"], record["attnum"]) not in now.things:
            continue
        found = [one for one in now.of_table("index", record["table"]).values() if one["name"] == name]
        table = _path(now, record["table"])
        if found and not found[0]["valid"]:
            yield f"DROP INDEX CONCURRENTLY {ident(_schema(now, record['table']), name)}"
        if not found or not found[0]["valid"]:
            # A constant as the key: the values may be longer than an index can hold.
            yield f"CREATE INDEX CONCURRENTLY {ident(name)} ON {table} ((1)) WHERE {is_written(record, record['hidden'])}"


def _wanted(now: Snapshot, entries: list[Entry]) -> Iterator[str]:
    """Yield what builds the indexes that a change of type needs for the way there or back."""
    for one in [one for entry in entries for one in entry.operation.get("wanted", ())]:
        columns = now.columns(one["table"])
        if not {*one["columns"], one["where"] or min(columns, default=0)} <= columns.keys():
            continue
        found = [
            index for index in now.of_table("index", one["table"]).values() if index["name"] == one["name"]
        ]
        if found and not found[0]["valid"]:
            yield f"DROP INDEX CONCURRENTLY {ident(_schema(now, one['table']), one['name'])}"
        if not found or not found[0]["valid"]:
            listed = ", ".join(ident(columns[attnum]["name"]) for attnum in one["columns"]) or "(1)"
            where = f" WHERE {ident(columns[one['where']]['name'])}" if one["where"] else ""
            unique = "UNIQUE " if one["unique"] else ""
            yield f"CREATE {unique}INDEX CONCURRENTLY {ident(one['name'])} ON {_path(now, one['table'])} ({listed}){where}"


def _promotions(now: Snapshot, entries: list[Entry]) -> Iterator[str]:
    for entry in entries:
        record = entry.operation.get("key")
        if record is not None and Key("table", record["table"]) in now.things:
            yield from primary.promotions(now, record, _path(now, record["table"]))


def _keys(now: Snapshot, entries: list[Entry]) -> Iterator[str]:
    """Yield what builds the keys and unique indexes that a migration made, when it was made again."""
    for entry in entries:
        if entry.state != "applied" or not entry.operation.get("rebuild"):
            continue
        made = entry.operation["rebuild"]
        table = made["table"]
        if Key("table", table) not in now.things:
            continue
        path, name = _path(now, table), ident(made["name"])
        index = [one for one in now.of_table("index", table).values() if one["name"] == made["name"]]
        if index and not index[0]["valid"]:
            yield f"DROP INDEX CONCURRENTLY {ident(_schema(now, table), made['name'])}"
        if not index or not index[0]["valid"]:
            yield _renamed(now, made)
        if made["word"] and not any(
            one["name"] == made["name"] for one in now.of_table("constraint", table).values()
        ):
            yield f"ALTER TABLE {path} ADD CONSTRAINT {name} {made['word']} USING INDEX {name} {made['deferred']}".rstrip()
            if made["comment"] is not None:
                yield f"COMMENT ON CONSTRAINT {name} ON {path} IS {literal(made['comment'])}"


def _renamed(now: Snapshot, made: dict[str, Any]) -> str:
    """Return what builds an index, its table and columns called as they are now."""
    columns = now.columns(made["table"])
    names = {
        old: str(columns[int(attnum)]["name"])
        for attnum, old in made["names"].items()
        if int(attnum) in columns
    }
    schema, table = _schema(now, made["table"]), str(now.things[Key("table", made["table"])]["name"])
    return index_of(str(made["definition"]), schema, table, names)


def _proofs(now: Snapshot, entries: list[Entry]) -> Iterator[str]:
    """Yield what proves the constraints that were valid before, and were put back for new rows only."""
    for constraint in _constraints_in([entry.operation for entry in entries]):
        for one in now.of_table("constraint", constraint["table"]).values():
            if one["name"] == constraint["name"] and constraint["valid"] and not one["valid"]:
                yield f"ALTER TABLE {_path(now, one['table'])} VALIDATE CONSTRAINT {ident(one['name'])}"


def _values(now: Snapshot) -> Iterator[str]:
    """Yield what makes columns NOT NULL that are so by a constraint for the time being."""
    for key, one in now.things.items():
        if key.kind == "constraint" and _BY_CHECK.fullmatch(str(one["name"])):
            path = _path(now, one["table"])
            column = ident(now.columns(one["table"])[one["columns"][0]]["name"])
            yield f"ALTER TABLE {path} VALIDATE CONSTRAINT {ident(one['name'])}"
            yield f"ALTER TABLE {path} ALTER COLUMN {column} SET NOT NULL"
            yield f"ALTER TABLE {path} DROP CONSTRAINT {ident(one['name'])}"


def _constraints_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if {"definition", "valid", "table", "kind"} <= value.keys():
            yield value
        for inner in value.values():
            yield from _constraints_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _constraints_in(inner)


def _schema(now: Snapshot, table: int) -> str:
    return str(now.things[Key("schema", now.things[Key("table", table)]["schema"])]["name"])


def _path(now: Snapshot, table: int) -> str:
    return ident(_schema(now, table), now.things[Key("table", table)]["name"])


def run_all(link: Link, statements: Sequence[str]) -> list[Unfinished]:
    """Run statements, each by itself; return those that failed. Each may be run again.

    Args:
        link: A session in autocommit.
        statements: In order; what follows a failure is tried all the same.
    """
    failed = []
    for statement in statements:
        try:
            fault_point("db.due.before")
            _run(link, statement)
            fault_point("db.due.after")
        except LinkError as error:
            failed.append(Unfinished(statement=statement, why=str(error)))
    return failed


def _run(link: Link, statement: str) -> None:
    """Run one. A lock that makes others wait behind us is asked for again and again, and never waited for."""
    # Building an index waits for old transactions, and nobody waits for it.
    limit_ms = 0 if statement.startswith(_SLOW) else _LOCK_MS
    link.rows(f"SET lock_timeout = {limit_ms}")
    ends_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            link.rows(statement)
        except LinkError as error:
            if error.sqlstate != _NOT_AVAILABLE or time.monotonic() > ends_s:
                raise
            time.sleep(0.05 * (0.5 + random.random()))
        else:
            return
