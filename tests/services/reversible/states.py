"""What tests compare a database by: its schema as anybody reads it, its catalog by identity, and its rows."""

from __future__ import annotations

from contextlib import closing

import psycopg

from backout.databases.postgres.catalog import read_schema
from backout.databases.postgres.reversible import catalog
from backout.databases.postgres.reversible.fingerprint import read_print
from backout.databases.postgres.reversible.link import DirectLink, objects
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.snapshot import Snapshot
from backout.schema import Schema


def schema_of(url: str) -> tuple[Schema, dict[str, str]]:
    """Return the visible schema, as the tool reads it and as the engine does: what is hidden is left out."""
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        schema = read_schema(connection, None)
        link = DirectLink(connection)
        link.rows("BEGIN ISOLATION LEVEL REPEATABLE READ")
        found = read_print(link).things
        link.rows("COMMIT")
    return schema, {name: one for name, one in found.items() if name != "schema backout"}


def catalog_of(link: DirectLink) -> Snapshot:
    """Return the whole catalog, hidden things included, by identity."""
    return catalog.read_alone(link)


def rows_of(link: DirectLink) -> dict[str, list[str]]:
    """Return every row of every table that can be seen, as text."""
    tables = objects(
        link,
        "SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') "
        "AND n.nspname !~ '^(pg_|backout)' AND n.nspname <> 'information_schema'",
    )
    return {
        path: [
            str(row["row"])
            for row in link.rows(f'SELECT q::text AS row FROM {path} q ORDER BY q::text COLLATE "C"')
        ]
        for path in (ident(one["schema"], one["name"]) for one in tables)
    }


def seen(link: DirectLink, query: str) -> str:
    """Return a query's rows as one line: ``1 a | 2 -``."""
    found = link.rows(query)
    return " | ".join(" ".join("-" if v is None else v for v in row.values()) for row in found)


def changed(one: tuple[Schema, dict[str, str]], other: tuple[Schema, dict[str, str]]) -> list[str]:
    """Return what differs, by name; empty exactly if the two are equal."""
    names = sorted(one[1].keys() | other[1].keys())
    found = [f"{n}: {one[1].get(n)} / {other[1].get(n)}" for n in names if one[1].get(n) != other[1].get(n)]
    return found or ([] if one[0] == other[0] else ["the schema"])
