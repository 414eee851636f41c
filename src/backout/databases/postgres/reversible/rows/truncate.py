"""Keeps the rows that a TRUNCATE is about to drop: no trigger sees them go."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backout.databases.postgres.reversible.link import Link, LinkError, objects, scalar
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, hidden, ident, literal
from backout.databases.postgres.reversible.private import shutting
from backout.databases.postgres.reversible.rows.capture import NotCaptured
from backout.databases.postgres.reversible.rows.closure import KEY
from backout.databases.postgres.reversible.rows.quiet import exactly
from backout.databases.postgres.reversible.rows.store import LOG, SHAPE, TRUNCATED

_BYTES_PER_ROW = 40
"""Of a table that was never analyzed: few, so that its rows are estimated to be many."""


@dataclass(frozen=True, slots=True)
class Truncated:
    """A table whose rows were kept.

    Attributes:
        table: Oid.
        called: Schema and name.
        copy: Oid of the table that has its rows now.
    """

    table: int
    called: str
    copy: int


def keep_rows(
    session: Link,
    own: Link,
    migration: int,
    tables: Sequence[int],
    *,
    cascade: bool,
    next_id: Callable[[], int],
    max_rows: int,
) -> list[Truncated]:
    """Copy the rows of the tables that a TRUNCATE is going to drop, in its transaction; it may run afterwards.

    The values of the sequences that belong to them are noted. It takes as long as the tables are big.

    Args:
        session: The migration's, in its transaction, acting as the role that logged in.
        own: Another session: what it cannot see was made by the transaction, and needs no copy.
        migration: Number.
        tables: Oids of those that the statement names; partitions, and tables that inherit, go with them.
        cascade: Tables that refer to them go too.
        next_id: Gives the number of the next change: copies are named by it.
        max_rows: Estimated rows of all of them together that are still copied.

    Raises:
        NotCaptured: They have too many rows, or cannot be read.
    """
    found = emptied(session, tables, cascade=cascade)
    visible = {
        int(one["oid"])
        for one in objects(
            own,
            f"SELECT oid::int8 AS oid FROM pg_catalog.pg_class WHERE oid IN ({', '.join(str(o['oid']) for o in found) or 'NULL'})",
        )
    }
    older = [one for one in found if one["oid"] in visible]
    refuse_too_many(older, max_rows)
    with exactly(session):
        return [_copy(session, migration, one, next_id()) for one in older if one["kind"] == "r"]


def refuse_too_many(older: Sequence[dict[str, Any]], max_rows: int) -> None:
    """Do nothing, if the rows of tables can be copied.

    Args:
        older: Tables, as `emptied` returns them, that were there before the transaction.
        max_rows: Estimated rows of all of them together that are still copied.

    Raises:
        NotCaptured: They have too many rows, or are elsewhere.
    """
    for one in older:
        if one["kind"] == "f":
            raise NotCaptured(one["called"], "it is a foreign table, and they are on another server")
    rows = sum(max(0, int(one["rows"])) for one in older)
    if rows > max_rows:
        biggest = max(older, key=lambda one: int(one["rows"]))
        raise NotCaptured(
            biggest["called"], f"TRUNCATE would drop about {rows} rows, and at most {max_rows} are copied"
        )


def restore_sequences(link: Link, migrations: Sequence[int]) -> None:
    """Let the sequences that RESTART IDENTITY set back go on after the highest value they ever gave."""
    numbers = ", ".join(map(str, migrations)) or "NULL"
    kept = objects(link, f"SELECT sequences FROM {TRUNCATED} WHERE migration IN ({numbers}) ORDER BY at DESC")
    for one in (sequence for table in kept for sequence in table["sequences"]):
        there = objects(
            link,
            "SELECT format('%I.%I', n.nspname, c.relname) AS path, s.seqincrement > 0 AS up FROM pg_catalog.pg_sequence s "
            "JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE s.seqrelid = {one['oid']}",
        )
        for sequence in there:
            further = ">" if sequence["up"] else "<"
            link.rows(
                f"SELECT setval({literal(sequence['path'])}::regclass, {one['value']}, true) FROM {sequence['path']} s "
                f"WHERE {one['value']} {further} s.last_value OR NOT s.is_called"
            )


def emptied(session: Link, tables: Sequence[int], *, cascade: bool) -> list[dict[str, Any]]:
    """Return the tables whose rows a TRUNCATE would drop, with the number of rows that they are estimated to have."""
    wanted = ", ".join(f"{oid}::oid" for oid in tables) or "NULL::oid"
    # CASCADE takes no tables that inherit from those that refer; the partitions among them refer by themselves.
    refers = (
        "UNION SELECT k.conrelid FROM pg_catalog.pg_constraint k JOIN f ON k.confrelid = f.rel WHERE k.contype = 'f'"
        if cascade
        else ""
    )
    return objects(
        session,
        f"""WITH RECURSIVE named(rel) AS (SELECT unnest(ARRAY[{wanted}])
          UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN named ON i.inhparent = named.rel),
        f(rel) AS (SELECT rel FROM named {refers})
        SELECT c.oid::int8 AS oid, c.relkind AS kind, n.nspname || '.' || c.relname AS called, n.nspname AS schema, c.relname AS name,
          c.relforcerowsecurity AS forced, {KEY.format("c.oid")} AS key, c.relnatts AS last,
          CASE WHEN c.relkind <> 'r' THEN 0 WHEN c.reltuples >= 0 THEN c.reltuples::int8
            ELSE pg_catalog.pg_relation_size(c.oid) / {_BYTES_PER_ROW} END AS rows,
          (SELECT json_agg(json_build_object('attnum', attnum, 'name', attname) ORDER BY attnum) FROM pg_catalog.pg_attribute
            WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns
        FROM f JOIN pg_catalog.pg_class c ON c.oid = f.rel JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't' ORDER BY c.oid""",
    )


def _copy(session: Link, migration: int, table: dict[str, Any], change: int) -> Truncated:
    called, columns = table["called"], table["columns"] or []
    path, copy = ident(table["schema"], table["name"]), ident(HIDDEN_SCHEMA, hidden(change))
    image = f"ROW({', '.join('t.' + ident(c['name']) for c in columns)})::text"
    try:
        # What somebody writes between the copy and the TRUNCATE would be lost.
        session.rows(f"LOCK TABLE ONLY {path} IN ACCESS EXCLUSIVE MODE")
        if table["forced"]:
            session.rows(f"ALTER TABLE {path} NO FORCE ROW LEVEL SECURITY")
        session.rows(
            f"CREATE TABLE {copy} AS SELECT {image} AS image, t.xmin::text AS written_by FROM ONLY {path} t"
        )
        for statement in shutting(session, copy=hidden(change)):
            session.rows(statement)
        if table["forced"]:
            session.rows(f"ALTER TABLE {path} FORCE ROW LEVEL SECURITY")
    except LinkError as error:
        raise NotCaptured(called, f"PostgreSQL said {error}") from error
    attnums = f"'{{{','.join(str(c['attnum']) for c in columns)}}}'::int2[]"
    key = "NULL" if table["key"] is None else f"'{{{','.join(map(str, table['key']))}}}'::int2[]"
    at = scalar(session, f"SELECT nextval('{LOG}_seq_seq')")
    session.rows(
        f"INSERT INTO {SHAPE} (migration, relation, since, attnums, last, key, called) VALUES "
        f"({migration}, {table['oid']}, {at}, {attnums}, {table['last']}, {key}, {literal(called)})"
    )
    sequences = literal(json.dumps(_sequences(session, table["oid"])))
    session.rows(
        f"INSERT INTO {TRUNCATED} (migration, relation, called, copy, attnums, at, sequences) VALUES "
        f"({migration}, {table['oid']}, {literal(called)}, {literal(hidden(change))}, {attnums}, {at}, {sequences})"
    )
    oid = int(scalar(session, f"SELECT {literal(copy)}::regclass::oid::int8") or 0)
    return Truncated(table["oid"], called, oid)


def _sequences(session: Link, table: int) -> list[dict[str, int]]:
    """Return the sequences that belong to a table's columns, and the last value that each gave."""
    found = objects(
        session,
        "SELECT c.oid::int8 AS oid, format('%I.%I', n.nspname, c.relname) AS path FROM pg_catalog.pg_depend d "
        "JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S' JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass "
        f"AND d.refobjid = {table} AND d.deptype IN ('a', 'i')",
    )
    values = [
        (one["oid"], scalar(session, f"SELECT last_value FROM {one['path']} WHERE is_called"))
        for one in found
    ]
    return [{"oid": oid, "value": int(value)} for oid, value in values if value is not None]
