"""What a migration tool wrote into its own history: the inverse has to take it back, or the tool would not run it again.

What a row is known by is what the tool itself looks for: numbers and moments are others in every database.
Sources: as of `databases/postgres/heads.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from backout.databases.postgres.connect import Connector
from backout.databases.postgres.heads import HISTORY_TABLES
from backout.databases.postgres.inverse.catalog import linked
from backout.databases.postgres.reversible.link import Link, Row, objects, scalar
from backout.databases.postgres.reversible.names import ident, literal
from backout.message import Message, msg

_KNOWN_BY = {
    "__drizzle_migrations": ("hash", "created_at"),
    "_prisma_migrations": ("migration_name",),
    "alembic_version": ("version_num",),
    "flyway_schema_history": ("version", "description", "script"),
    "django_migrations": ("app", "name"),
    "schema_migrations": ("version",),
    "_sqlx_migrations": ("version",),
    "knex_migrations": ("name",),
    "SequelizeMeta": ("name",),
    "migrations": ("timestamp", "name", "migration"),
    "databasechangelog": ("id", "author", "filename"),
    "goose_db_version": ("version_id",),
    "refinery_schema_history": ("version",),
    "__diesel_schema_migrations": ("version",),
}
_FIND = """
SELECT n.nspname::text AS schema, c.relname::text AS name, json_agg(a.attname::text ORDER BY a.attnum) AS columns
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_|^backout' AND c.relname IN ({})
GROUP BY 1, 2"""

_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) AS path FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND n.nspname !~ '^pg_|^backout'
  AND n.nspname <> 'information_schema' AND c.relname NOT IN ({}) ORDER BY 1"""

_Histories = dict[str, tuple[tuple[str, ...], list[Row]]]


def histories_back(before: Connector, after: Connector) -> list[str]:
    """Return the statements that make the tools' histories what they were before."""
    was, is_ = _read(before), _read(after)
    return [
        one for path in sorted(was.keys() & is_.keys()) for one in _statements(path, was[path], is_[path])
    ]


def rows_inserted(before: Connector, after: Connector) -> list[Message]:
    """Return what the migration inserted into tables that were there: it stays, and may be in the way of the next time."""
    was, is_ = _counted(before), _counted(after)
    return [
        msg(
            "what it inserts into {table} ({rows} row(s) on scratch): they stay, and it may not insert them twice",
            table=path,
            rows=rows - was[path],
        )
        for path, rows in is_.items()
        if rows > was.get(path, rows)
    ]


def _counted(connector: Connector) -> dict[str, int]:
    names = ", ".join(literal(one) for one in sorted(HISTORY_TABLES))
    with linked(connector) as link:
        paths = [str(row["path"]) for row in link.rows(_TABLES.format(names))]
        return {path: int(scalar(link, f"SELECT count(*) FROM {path}") or 0) for path in paths}


def _read(connector: Connector) -> _Histories:
    found: _Histories = {}
    names = ", ".join(literal(one) for one in sorted(HISTORY_TABLES))
    with linked(connector) as link:
        for table in objects(link, _FIND.format(names)):
            keys = tuple(one for one in _KNOWN_BY.get(table["name"], ()) if one in table["columns"])
            if keys:
                path = ident(table["schema"], table["name"])
                found[path] = keys, _rows(link, path)
    return found


def _rows(link: Link, path: str) -> list[Row]:
    return link.rows(f"SELECT * FROM {path}")


def _statements(
    path: str, was: tuple[tuple[str, ...], list[Row]], is_: tuple[tuple[str, ...], list[Row]]
) -> Iterator[str]:
    keys = was[0]
    known = [tuple(row.get(one) for one in keys) for row in was[1]]
    there = [tuple(row.get(one) for one in keys) for row in is_[1]]
    for values in dict.fromkeys(there):
        if values not in known:
            where = " AND ".join(
                f"{ident(one)} IS NOT DISTINCT FROM {literal(value)}"
                for one, value in zip(keys, values, strict=True)
            )
            yield f"DELETE FROM {path} WHERE {where}"
    for row, values in zip(was[1], known, strict=True):
        if values not in there:
            columns = ", ".join(ident(one) for one in row)
            yield f"INSERT INTO {path} ({columns}) VALUES ({', '.join(literal(one) for one in row.values())})"
