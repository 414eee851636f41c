"""Rows written since a migration, as far as the way back has something to do about them: counted where that is cheap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from backout.databases.postgres.reversible.apart import apart
from backout.databases.postgres.reversible.asking import Asking, Unanswered
from backout.databases.postgres.reversible.fill import accepts_null, is_written
from backout.databases.postgres.reversible.following import ASIDE, path_of
from backout.databases.postgres.reversible.functions import needed_by
from backout.databases.postgres.reversible.held import path
from backout.databases.postgres.reversible.journal import Entry, is_hiding
from backout.databases.postgres.reversible.key_log import log_of
from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.violators import violators
from backout.migration_status import RowsSince

_BYTES_PER_ROW = 40
"""Of a table that was never analyzed."""


def rows_since(asking: Asking, now: Snapshot, entries: Sequence[Entry]) -> list[RowsSince]:
    """Return what of it there is, one for each column or constraint."""
    found: list[RowsSince] = []
    for entry in entries:
        if entry.kind == "column.hidden" and is_hiding(entry):
            found += _of_column(asking, now, entry)
        elif entry.kind == ASIDE and entry.state == "applied":
            found.append(_beside(asking, entry))
        elif entry.operation.get("anew") and entry.state == "applied":
            found += _needed(asking, entry)
        elif entry.kind == "placed" and entry.state == "applied":
            found.append(RowsSince(kind="placed", what=entry.operation["called"], rows=None, stops=False))
        elif "rebuilt" in entry.operation and entry.state == "applied":
            found.append(_brought(asking, entry))
        elif entry.kind == "column.retyped" and entry.state == "applied":
            reads = _converted if entry.operation["form"] == "twin" else _unfit
            found += reads(asking, now, entry)
        elif entry.kind == "column.not_null" and entry.state == "applied" and not entry.operation["not_null"]:
            found += _of_nulls(asking, now, entry)
        elif entry.kind == "constraint.dropped" and entry.state == "applied":
            dropped = entry.operation["dropped"]
            is_key = dropped["kind"] == "f"
            found += _orphans(asking, now, dropped) if is_key else violators(asking, now, entry)
            if dropped["kind"] == "x":
                found.append(
                    RowsSince(kind="excluded", what=entry.operation["called"], rows=None, stops=False)
                )
        else:
            found += violators(asking, now, entry)
    return found + [
        RowsSince(kind="apart", what=one.dropped, rows=None, value=", ".join(one.made), stops=False)
        for one in apart([entry for entry in entries if entry.state == "applied"])
    ]


def rows_again(asking: Asking, now: Snapshot, entries: Sequence[Entry]) -> list[RowsSince]:
    """Return what a way forward would write: rows that get a value in a column that is shown again, or in one of its later type."""
    found: list[RowsSince] = []
    for entry in entries:
        record = entry.operation.get("hidden")
        if entry.state != "undone" or record is None:
            continue
        if entry.kind == "column.retyped":
            found += _converted(asking, now, entry)
        elif entry.kind == "column.added" and {record["mark"], record["marker"]} != {None}:
            table, column = Key("table", record["table"]), Key("column", record["table"], record["attnum"])
            if table in now.things and column in now.things:
                told = is_written(record, str(now.things[column]["name"]))
                found += _filled(
                    asking, path(now, table), entry.operation["called"], told, None, must=False, stops=False
                )
    return found


def _of_column(asking: Asking, now: Snapshot, entry: Entry) -> Iterator[RowsSince]:
    record = entry.operation["hidden"]
    table, column = Key("table", record["table"]), Key("column", record["table"], record["attnum"])
    if table not in now.things or column not in now.things or record["numbers"]:
        return
    if "taken" in entry.operation:
        yield _told(asking, path(now, table), record["called"], record["marker"], entry.operation["taken"])
        return
    name = ident(str(now.things[column]["name"]))
    value = entry.operation.get("fill") or record["default"]
    marked = record["mark"] is not None
    if marked or record["not_null"]:
        told = f"{name} = {record['mark']}" if marked else f"{name} IS NULL"
        must = bool(record["not_null"]) and not accepts_null(value)
        rows = list(_filled(asking, path(now, table), record["called"], told, value, must=must, stops=marked))
        yield from rows
        if value is not None and not accepts_null(value) and (not rows or rows[0].rows != 0):
            yield from _collisions(now, record)
    for one in record["constraints"]:
        if one["kind"] == "f" and one["table"] == record["table"]:
            yield from _orphans(asking, now, one)


def _needed(asking: Asking, entry: Entry) -> Iterator[RowsSince]:
    """Yield it, if something needs a function that has to be dropped."""
    called, why, needs = entry.operation["called"], None, None
    try:
        with asking.question() as link:
            needs = needed_by(link, entry.operation["oid"])
    except Unanswered as error:
        why = str(error)
    if needs or why:
        yield RowsSince(
            kind="needed", what=called, rows=1 if needs else None, value=needs, why=why, stops=True
        )


def _counted(asking: Asking, query: str) -> tuple[int | None, str | None]:
    """Return the number that a query gives, or why it gives none."""
    try:
        return asking.count(query), None
    except Unanswered as error:
        return None, str(error)


def _beside(asking: Asking, entry: Entry) -> RowsSince:
    """Return about how many rows get a value from a table beside: all of them, while nobody can use the table."""
    counted = f"SELECT CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE pg_catalog.pg_relation_size(c.oid) / {_BYTES_PER_ROW} END::int8 FROM pg_catalog.pg_class c "
    rows, why = _counted(
        asking, f"{counted} WHERE c.oid = pg_catalog.to_regclass({literal(path_of(entry.id))})"
    )
    return RowsSince(kind="beside", what=entry.operation["called"], rows=rows, why=why, stops=False)


def _told(asking: Asking, table: str, called: str, marker: str, told: dict[str, Any]) -> RowsSince:
    """Return how many rows get a value that follows from those of other columns."""
    rows, why = _counted(asking, f"SELECT count(*) FROM {table} WHERE {ident(marker)}")
    return RowsSince(kind="filled", what=called, rows=rows, value=told["value"], why=why, stops=False)


def _brought(asking: Asking, entry: Entry) -> RowsSince:
    """Return how many rows were written since to the table that a dropped one was built into."""
    told = entry.operation["rebuilt"]
    rows, why = _counted(asking, f"SELECT count(*) FROM {log_of(entry.id)}")
    what, value = told["dropped"]["called"], told["made"]["called"]
    return RowsSince(kind="brought", what=what, rows=rows, value=value, why=why, stops=False)


def _unfit(asking: Asking, now: Snapshot, entry: Entry) -> Iterator[RowsSince]:
    """Yield how many rows have a value that the earlier type, which the column had in its place, cannot hold, if some may."""
    told, called = entry.operation, entry.operation["called"]
    table, column = Key("table", told["table"]), Key("column", told["table"], told["new"])
    # With an expression of the migration's or the user's own, there or back, only trying tells.
    if table not in now.things or column not in now.things or (told["up"], told["down"]) != (None, None):
        return
    name, earlier = ident(str(now.things[column]["name"])), told["from"]["type"]
    # A cast that is written cuts off what does not fit, or fails.
    rows, why = _counted(
        asking,
        f"SELECT count(*) FROM {path(now, table)} WHERE {name}::{earlier}::{told['types'][1]} <> {name}",
    )
    if rows != 0:
        stops = bool(told["from"]["required"]) and told["fill"] is None
        yield RowsSince(
            kind="unfit", what=called, rows=rows, value=told["fill"] or "NULL", why=why, stops=stops
        )


def _converted(asking: Asking, now: Snapshot, entry: Entry) -> Iterator[RowsSince]:
    """Yield how many rows have a value to be converted to the earlier type; whether each can be only trying tells."""
    told, called = entry.operation, entry.operation["called"]
    table, mark = Key("table", told["table"]), Key("column", told["table"], told["mark"])
    if table not in now.things or mark not in now.things:
        return
    rows, why = _counted(
        asking, f"SELECT count(*) FROM {path(now, table)} WHERE {ident(str(now.things[mark]['name']))}"
    )
    yield RowsSince(kind="converted", what=called, rows=rows, value=told["types"][0], why=why, stops=False)
    if rows != 0 and told["hidden"]["not_null"] and told["fill"] is None:
        why = "whether each can be converted to the earlier type only trying tells"
        yield RowsSince(kind="converted", what=called, rows=None, value=told["types"][0], why=why, stops=True)


def _collisions(now: Snapshot, record: dict[str, Any]) -> Iterator[RowsSince]:
    """Yield the unique indexes in which rows that get a value could be equal to others: only trying tells."""
    for one in now.of_table("index", record["table"]).values():
        if one["unique"] and record["attnum"] in one["columns"]:
            why = f"it is in a unique index (now {one['name']}), and rows that get the same value may be equal there"
            yield RowsSince(kind="unique", what=record["called"], rows=None, why=why, stops=True)


def _of_nulls(asking: Asking, now: Snapshot, entry: Entry) -> Iterator[RowsSince]:
    told = entry.operation
    table, column = Key("table", told["table"]), Key("column", told["table"], told["attnum"])
    if table in now.things and column in now.things:
        name = ident(str(now.things[column]["name"]))
        value = told.get("fill") or told["default"]
        yield from _filled(
            asking,
            path(now, table),
            told["called"],
            f"{name} IS NULL",
            value,
            must=not accepts_null(value),
            stops=False,
        )


def _filled(
    asking: Asking, table: str, called: str, told: str, value: str | None, *, must: bool, stops: bool
) -> Iterator[RowsSince]:
    """Yield how many rows get a value, and of how many it would be NULL where that must not be."""
    try:
        rows = asking.count(f"SELECT count(*) FROM {table} WHERE {told}")
    except Unanswered as error:
        yield RowsSince(kind="filled", what=called, rows=None, value=value, why=str(error), stops=False)
        return
    yield RowsSince(kind="filled", what=called, rows=rows, value=value, stops=False)
    if not must or not rows:
        return
    try:
        bad = asking.count(f"SELECT count(*) FROM {table} WHERE {told} AND ({value or 'NULL'}) IS NULL")
    except Unanswered as error:
        # The expression may speak of columns by names that they have only after the way back.
        yield RowsSince(kind="null", what=called, rows=None, value=value, why=str(error), stops=stops)
        return
    if bad:
        yield RowsSince(kind="null", what=called, rows=bad, value=value, stops=stops)


def _orphans(asking: Asking, now: Snapshot, key: dict[str, Any]) -> Iterator[RowsSince]:
    """Yield how many rows have no partner for a foreign key that would come back; asked only where an index helps."""
    child, parent = Key("table", key["table"]), Key("table", key["to_table"])
    pairs = list(zip(key["columns"], key["to_columns"], strict=True))
    known = [
        Key("column", child.oid, a) in now.things and Key("column", parent.oid, b) in now.things
        for a, b in pairs
    ]
    if child not in now.things or parent not in now.things or not all(known):
        return
    width = len(pairs)
    columns = set(key["columns"])
    helps = any(
        set(one["columns"][:width]) == columns and one["valid"]
        for one in now.of_table("index", child.oid).values()
    )
    if not helps:
        yield RowsSince(
            kind="orphans", what=key["name"], rows=None, why="no index makes it cheap to count", stops=False
        )
        return
    here, there = now.columns(child.oid), now.columns(parent.oid)
    same = " AND ".join(
        f"p.{ident(str(there[b]['name']))} = c.{ident(str(here[a]['name']))}" for a, b in pairs
    )
    given = " AND ".join(f"c.{ident(str(here[a]['name']))} IS NOT NULL" for a, _ in pairs)
    query = (
        f"SELECT count(*) FROM {path(now, child)} c WHERE {given} "
        f"AND NOT EXISTS (SELECT FROM {path(now, parent)} p WHERE {same})"
    )
    try:
        rows = asking.count(query)
    except Unanswered as error:
        yield RowsSince(kind="orphans", what=key["name"], rows=None, why=str(error), stops=False)
        return
    if rows:
        yield RowsSince(kind="orphans", what=key["name"], rows=rows, stops=False)
