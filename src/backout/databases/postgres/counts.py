"""Rows by table: counted exactly, or as the server estimates them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from backout.backup import TableCount
from backout.databases.postgres.catalog import OWN_SCHEMA
from backout.databases.postgres.cluster import Cluster
from backout.errors import TargetUnreachable
from backout.message import msg

if TYPE_CHECKING:
    from collections.abc import Collection

    import psycopg

# Tables that hold rows: partitions rather than what is partitioned, nothing of an extension.
_TABLES = """
SELECT n.nspname::text, c.relname::text,
       CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint ELSE pg_stat_get_live_tuples(c.oid) END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND CASE WHEN %(schemas)s::text[] IS NULL
           THEN n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', %(own)s)
           ELSE n.nspname = ANY(%(schemas)s::text[]) END
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND d.deptype = 'e')
ORDER BY 1, 2"""


class Rows(NamedTuple):
    """Rows of one table, and whether they were counted."""

    rows: int
    exact: bool


def count(
    connection: psycopg.Connection[Any],
    schemas: tuple[str, ...] | None,
    *,
    until_s: float | None,
    tables: Collection[str] | None = None,
) -> dict[str, Rows]:
    """Count each table within the transaction that is open, until a time; the rest are estimates.

    Args:
        connection: Its transaction is a snapshot if the counts shall belong together.
        schemas: As in the options.
        until_s: By `time.monotonic()`; None: nothing is counted.
        tables: Only these (``schema.table``); None: all.

    Hazard: a row that row security hides is not counted silently: the server then refuses the query.
    """
    from psycopg import errors, sql

    params = {"schemas": list(schemas) if schemas else None, "own": OWN_SCHEMA}
    there = connection.execute(_TABLES, params).fetchall()
    connection.execute("SELECT set_config('row_security', 'off', true)")
    found: dict[str, Rows] = {}
    for schema, table, estimate in there:
        name = f"{schema}.{table}"
        if tables is not None and name not in tables:
            continue
        left_s = 0.0 if until_s is None else until_s - time.monotonic()
        found[name] = Rows(estimate or 0, exact=False)
        if left_s <= 0:
            continue
        query = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(schema, table))
        try:
            with connection.transaction():
                connection.execute(
                    "SELECT set_config('statement_timeout', %s, true)", (str(max(1, round(left_s * 1000))),)
                )
                row = connection.execute(query).fetchone()
        except errors.QueryCanceled:
            continue
        found[name] = Rows(int(row[0]) if row else 0, exact=True)
    return found


def count_in(cluster: Cluster, database: str, deadline_s: float, *, exact: bool) -> dict[str, Rows]:
    """Count a database's rows in one snapshot, for at most that long."""
    import psycopg

    until_s = time.monotonic() + deadline_s if exact else None
    with cluster.inside(database, deadline_s, autocommit=False) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            return count(connection, cluster.schemas, until_s=until_s)


def counts(cluster: Cluster, database: str, *, exact: bool, deadline_s: float) -> dict[str, int]:
    """Return rows by table: counted, or the server's estimates.

    Raises:
        TargetUnreachable: They could not be counted in time; the tables that are missing are named.
    """
    found = count_in(cluster, database, deadline_s, exact=exact)
    uncounted = [name for name, rows in found.items() if exact and not rows.exact]
    if uncounted:
        raise TargetUnreachable(
            msg(
                "The rows of {database} could not be counted in {deadline_s:.0f} s: {tables}",
                database=database,
                deadline_s=deadline_s,
                tables=", ".join(uncounted[:10]),
            ),
            state=msg("Nothing was changed by counting."),
            next_command="backout status",
        )
    return {name: rows.rows for name, rows in found.items()}


def compare(cluster: Cluster, beside: str, deadline_s: float) -> tuple[TableCount, ...]:
    """Return the rows of each table on both sides; what takes longer than half of the time is an estimate."""
    live = count_in(cluster, cluster.live, deadline_s / 2, exact=True)
    restored = count_in(cluster, beside, deadline_s / 2, exact=True)
    found = []
    for table in sorted(live.keys() | restored.keys()):
        here, there = live.get(table), restored.get(table)
        found.append(
            TableCount(
                table=table,
                live=here.rows if here else None,
                restored=there.rows if there else None,
                live_exact=here is None or here.exact,
                restored_exact=there is None or there.exact,
            )
        )
    return tuple(found)
