"""Restricts a dump to the rows of chosen tables; all other objects are in it, so that it can be restored by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from backout.databases.postgres.by_hand import quoted
from backout.databases.postgres.rows.tables import named, pair_up, read_tables

if TYPE_CHECKING:
    import psycopg

# A materialized view is filled from its tables, which are empty then.
_EVERY = """
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind = 'r',
       CASE WHEN c.relkind = 'r' THEN pg_table_size(c.oid) ELSE 0 END::bigint,
       CASE WHEN c.relkind = 'r' THEN pg_total_relation_size(c.oid) ELSE 0 END::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 2, 3"""

_LEAVES = """
SELECT coalesce(p.relid::oid, o.oid)::bigint FROM unnest(%s::oid[]) o(oid)
LEFT JOIN pg_partition_tree(o.oid::regclass) p ON true"""


class Chosen(NamedTuple):
    """What a dump of some tables holds.

    Attributes:
        tables: Those that have the rows, ``schema.table``: of a table in partitions its partitions.
        options: What pg_dump is told, so that it writes the rows of no other table.
        table_bytes: Bytes of their rows on disk.
        total_bytes: The same with their indexes.
    """

    tables: frozenset[str]
    options: tuple[str, ...]
    table_bytes: int
    total_bytes: int


def choose(
    connection: psycopg.Connection[Any], tables: tuple[str, ...], schemas: tuple[str, ...] | None
) -> Chosen:
    """Return what a dump of these tables holds, within the snapshot that is open.

    Source: PostgreSQL 15 documentation, pg_dump, `--exclude-table-data` and `--no-blobs`; psql, "Patterns".

    Raises:
        UsageError: There is no such table.
    """
    pairs = pair_up({}, read_tables(connection, schemas))
    asked = [pair.live.oid for pair in (named(pairs, table) for table in tables) if pair.live is not None]
    wanted = {row[0] for row in connection.execute(_LEAVES, (asked,)).fetchall()}
    every = connection.execute(_EVERY).fetchall()
    mine = [row for row in every if row[0] in wanted and row[3]]
    kept_in = {schema for _, schema, *_ in mine}
    # Of a schema with none of them one pattern is enough: a command line has an end.
    others = dict.fromkeys(
        f"{quoted(schema)}.{quoted(name) if schema in kept_in else '*'}"
        for oid, schema, name, *_ in every
        if oid not in wanted
    )
    return Chosen(
        tables=frozenset(f"{schema}.{name}" for _, schema, name, *_ in mine),
        options=("--no-blobs", *(f"--exclude-table-data={other}" for other in others)),
        table_bytes=sum(row[4] for row in mine),
        total_bytes=sum(row[5] for row in mine),
    )
