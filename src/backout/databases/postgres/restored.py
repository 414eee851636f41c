"""Looks whether a restored database is whole, and compares what belongs to a database with the live one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.carried import At, changes, made_differently
from backout.databases.postgres.catalog import schema_in_snapshot
from backout.databases.postgres.cluster import Cluster, named, no_database
from backout.databases.postgres.counts import count
from backout.databases.postgres.heads import migration_head
from backout.databases.postgres.publications import differing_publications, publications
from backout.databases.postgres.writes import count_writes
from backout.databases.restores import Checked
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg

    from backout.databases.restores import Note

_COUNT_WITHIN_S = 24 * 3600.0

_NOT_VALID = """
SELECT 'Constraint ' || quote_ident(c.conname) || ' of ' || coalesce(nullif(c.conrelid, 0)::regclass::text,
                                                                     c.contypid::regtype::text)
FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
WHERE NOT c.convalidated AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
UNION ALL
SELECT 'Index ' || x.indexrelid::regclass::text || ' of ' || x.indrelid::regclass::text
FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT (x.indisvalid AND x.indisready) AND n.nspname !~ '^pg_'
ORDER BY 1"""

# ANALYZE and VACUUM write their figures in place: the row keeps its xmin.
# Source: PostgreSQL 15, src/backend/commands/vacuum.c, vac_update_relstats.
_OBJECTS = """
SELECT md5(coalesce(string_agg(oid::text || ':' || xmin::text, ',' ORDER BY oid), ''))
FROM (SELECT oid, xmin FROM pg_class WHERE oid >= 16384
      UNION ALL SELECT oid, xmin FROM pg_proc WHERE oid >= 16384
      UNION ALL SELECT oid, xmin FROM pg_constraint WHERE oid >= 16384
      UNION ALL SELECT attrelid, max(xmin::text)::xid FROM pg_attribute WHERE attrelid >= 16384 GROUP BY 1) made"""


def check_restored(cluster: Cluster, database: str, live: str, *, note: Note) -> Checked:
    """Look at every constraint, index and row of a restored database, and compare it with the live one."""
    import psycopg

    note(msg("Counting the rows of {database}", database=database))
    with cluster.inside(database, autocommit=False) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            connection.execute("SET LOCAL statement_timeout = 0")
            rows = count(connection, cluster.schemas, until_s=time.monotonic() + _COUNT_WITHIN_S)
            schema = schema_in_snapshot(connection, cluster.schemas)
            head = migration_head(connection)
            invalid = _not_valid(connection)
            mark = written(connection)
            published = publications(connection)
    problems = [*_differences(cluster, database, live)]
    problems += _against_live(cluster, database, live, invalid, published)
    return Checked(
        schema.fingerprint, head, {name: r.rows for name, r in rows.items()}, tuple(problems), mark
    )


def written(connection: psycopg.Connection[Any]) -> str:
    """Return a mark that changes when a row is written, or an object is made, changed or dropped."""
    row = connection.execute(_OBJECTS).fetchone()
    return f"{count_writes(connection)}:{row[0] if row else ''}"


def _not_valid(connection: psycopg.Connection[Any]) -> set[str]:
    # Names are then printed with their schema, here and there.
    connection.execute("SELECT set_config('search_path', 'pg_catalog', false)")
    return {str(row[0]) for row in connection.execute(_NOT_VALID).fetchall()}


def _differences(cluster: Cluster, database: str, live: str) -> Iterator[Message]:
    with cluster.both(live, database) as (there, connection, _):
        here, like = named(connection, database).get(database), named(there, live).get(live)
        if here is None or like is None:
            raise no_database(database if here is None else live)
        one, other = At(connection, here.oid), At(there, like.oid)
        found = list(made_differently(one, other))
        found += [
            msg(
                "{about} differs from the live database; the swap makes it equal by: {by_hand}",
                about=str(change.about),
                by_hand=change.statement.as_string(connection),
            )
            for change in changes(database, one, other)
        ]
    yield from found


def _against_live(
    cluster: Cluster, database: str, live: str, invalid: set[str], published: dict[str, str]
) -> Iterator[Message]:
    """Name what is not valid here and is there, and publications that differ."""
    with cluster.inside(live) as connection:
        connection.read_only = True
        also_there = _not_valid(connection)
        theirs = publications(connection)
    for name in sorted(invalid - also_there):
        yield msg("{name} is not valid", name=name)
    yield from differing_publications(database, published, theirs)
