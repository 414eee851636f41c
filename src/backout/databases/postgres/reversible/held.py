"""What the engine keeps hidden in a database, thing by thing, and what space it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backout.databases.postgres.reversible.following import ASIDE, name_of
from backout.databases.postgres.reversible.hide import uncaught
from backout.databases.postgres.reversible.journal import Entry, is_hiding
from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import (
    COMMENT,
    PREFIX,
    SCHEMA,
    hidden,
    ident,
    is_hidden,
    literal,
)
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.migration import HiddenThing

KINDS = ("trigger", "index", "table", "column", "sequence", "function", "type", "named", "schema")
"""In the order in which they can be dropped: a type after the columns of it, a schema when it is empty."""


@dataclass(frozen=True, slots=True)
class Held:
    """One hidden thing.

    Attributes:
        migration: Whose it is.
        change: Number of its journal row.
        key: Its identity now.
        called: What people call it.
        name: Its hidden name.
        uncaught: What a write by position puts into it unnoticed: `value`, `NULL`, or None.
    """

    migration: int
    change: int
    key: Key
    called: str
    name: str
    uncaught: str | None


def held(now: Snapshot, entries: Sequence[Entry]) -> list[Held]:
    """Return what is hidden because of journal entries, in their order; what somebody has dropped by hand is left out."""
    found = []
    for entry in entries:
        kind, aside = entry.kind.partition(".")[0], entry.kind == ASIDE
        if kind not in KINDS or not is_hiding(entry):
            continue
        key = _values_of(now, entry) if aside else _key(now, kind, entry)
        if key is not None:
            told = entry.operation
            called = str(told.get("called") or told["hidden"]["called"])
            called = f"values of {called}" if aside else called
            open_to = uncaught(now, told["hidden"]) if kind == "column" and not aside else None
            found.append(Held(entry.migration, entry.id, key, called, str(now.things[key]["name"]), open_to))
    return found


def uncaught_by(now: Snapshot, entries: Sequence[Entry], migration: int) -> list[Held]:
    """Return the hidden columns that a migration has hidden, or come to stand before others, and that writes by position reach.

    Args:
        now: The catalog.
        entries: All of the journal.
        migration: Its number.
    """
    tables = {
        entry.operation.get("table")
        for entry in entries
        if entry.migration == migration and entry.kind == "column.added"
    }
    return [
        one
        for one in held(now, entries)
        if one.uncaught and (one.migration == migration or one.key.oid in tables)
    ]


def _values_of(now: Snapshot, entry: Entry) -> Key | None:
    """Return the table that has the values of a column that is dropped; None: somebody has dropped it."""
    for key, one in now.things.items():
        if key.kind == "table" and one["name"] == name_of(entry.id):
            return key
    return None


def _key(now: Snapshot, kind: str, entry: Entry) -> Key | None:
    """Return the identity of what an entry hides, which after a dump and restore is another one: then its name tells it."""
    told = entry.operation.get("hidden") or entry.operation
    if kind == "named":
        kind = str(told["of"])
    if kind in ("column", "table"):
        same = Key(kind, int(told["table"]), int(told.get("attnum") or 0))
    else:
        same = Key(kind, int(told["oid"] or 0))
    if is_hidden(str(now.things.get(same, {"name": ""})["name"])):
        return same
    name = f"{SCHEMA}_{entry.id}" if kind == "schema" else hidden(entry.id)
    # A view or table that was made with `SELECT *` has a column of that name as well, without the comment.
    named = [
        key
        for key, thing in now.things.items()
        if key.kind == kind
        and thing["name"] == name
        and (kind != "column" or str(thing["comment"]).startswith(COMMENT))
    ]
    return named[0] if named else None


def documents(link: Link, now: Snapshot, things: Sequence[Held]) -> list[HiddenThing]:
    """Return hidden things with the space that they take.

    Args:
        link: In a transaction.
        now: The catalog.
        things: Which.
    """
    tables = [one.key.oid for one in things if one.key.kind == "table"]
    indexes = {one: _indexes(now, one) for one in things}
    exact = _sizes(link, [*tables, *{oid for oids in indexes.values() for oid in oids}])
    values = _values(link, [one for one in things if one.key.kind == "column"])
    found = []
    for one in things:
        size = sum(exact.get(oid, 0) for oid in indexes[one])
        if one.key.kind == "table":
            size = exact.get(one.key.oid, 0)
        estimate = values.get(one.key, 0) if one.key.kind == "column" else 0
        found.append(
            HiddenThing(
                migration=one.migration,
                kind=one.key.kind,
                called=one.called,
                name=now.name(one.key),
                size_bytes=size,
                estimated_bytes=estimate,
                uncaught=one.uncaught,
            )
        )
    return found


def _indexes(now: Snapshot, one: Held) -> list[int]:
    """Return the oids of the indexes that go with a hidden column, or are hidden themselves."""
    if one.key.kind == "index":
        return [one.key.oid]
    if one.key.kind != "column":
        return []
    there = now.of_table("index", one.key.oid).items()
    return [key.oid for key, index in there if str(index["name"]).startswith(f"{one.name}_")]


def _sizes(link: Link, oids: Sequence[int]) -> dict[int, int]:
    if not oids:
        return {}
    numbers = ", ".join(map(str, oids))
    found = objects(
        link,
        f"SELECT oid::int8 AS oid, pg_catalog.pg_total_relation_size(oid) AS size FROM pg_catalog.pg_class WHERE oid IN ({numbers})",
    )
    return {one["oid"]: one["size"] or 0 for one in found}


def _values(link: Link, columns: Sequence[Held]) -> dict[Key, int | None]:
    """Return what the values of columns take, by the statistics of the last ANALYZE; None: there are none."""
    if not columns:
        return {}
    names = ", ".join(literal(one.name) for one in columns)
    found = objects(
        link,
        f"""SELECT s.attname AS name, (s.avg_width * (1 - s.null_frac) * c.reltuples)::int8 AS size
        FROM pg_catalog.pg_stats s JOIN pg_catalog.pg_class c
          ON c.oid = to_regclass(format('%I.%I', s.schemaname, s.tablename)) AND c.reltuples >= 0
        WHERE s.attname IN ({names}) AND starts_with(s.attname, {literal(PREFIX)})""",
    )
    known = {one["name"]: one["size"] for one in found}
    return {one.key: known.get(one.name) for one in columns}


def path(now: Snapshot, key: Key) -> str:
    """Return the quoted name with its schema of a table, index or type."""
    thing = now.things[key]
    return ident(str(now.things[Key("schema", thing["schema"])]["name"]), str(thing["name"]))
