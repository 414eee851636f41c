"""Which migration a database stands at: read from the history table of the tool that made it.

Sources (the tables' definitions): drizzle-orm 0.44 pg-core/dialect.ts; Prisma migration-engine, "The Prisma
Migrate shadow table"; Alembic 1.16 runtime/migration.py; Flyway 10 documentation, "Schema history table";
Django 5.2 db/migrations/recorder.py; Rails 8 schema_migration.rb; sqlx 0.8 postgres/migrate.rs; golang-migrate 4
database/postgres; Ecto 3 schema_migration.ex; Knex 3, Sequelize 6 (umzug), TypeORM 0.3, Liquibase 4 history
tables; goose 3 dialect postgres; refinery 0.8; Diesel 2 (`__diesel_schema_migrations`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import psycopg


class _Tool(NamedTuple):
    """A tool, its history table, the columns that tell it from others, and the query for its newest migration."""

    name: str
    table: str
    columns: frozenset[str]
    query: str
    without: frozenset[str] = frozenset()


def _tool(name: str, table: str, columns: str, query: str, without: str = "") -> _Tool:
    return _Tool(name, table, frozenset(columns.split()), query, frozenset(without.split()))


_TOOLS = (
    _tool("drizzle", "__drizzle_migrations", "hash created_at", "SELECT hash FROM {} ORDER BY created_at DESC, id DESC LIMIT 1"),
    _tool(
        "prisma", "_prisma_migrations", "migration_name finished_at rolled_back_at",
        "SELECT migration_name FROM {} WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL"
        " ORDER BY migration_name DESC LIMIT 1",
    ),
    _tool(
        "alembic", "alembic_version", "version_num",
        "SELECT nullif(string_agg(version_num, ',' ORDER BY version_num), '') FROM {}",
    ),
    _tool(
        "flyway", "flyway_schema_history", "installed_rank version success",
        "SELECT coalesce(version, description) FROM {} WHERE success ORDER BY installed_rank DESC LIMIT 1",
    ),
    _tool("django", "django_migrations", "app name applied", "SELECT app || '.' || name FROM {} ORDER BY id DESC LIMIT 1"),
    _tool("golang-migrate", "schema_migrations", "version dirty", "SELECT version FROM {} LIMIT 1"),
    _tool("ecto", "schema_migrations", "version inserted_at", "SELECT max(version) FROM {}"),
    _tool("rails", "schema_migrations", "version", "SELECT max(version) FROM {}", "dirty inserted_at"),
    _tool("sqlx", "_sqlx_migrations", "version success", "SELECT max(version) FROM {} WHERE success"),
    _tool("knex", "knex_migrations", "name batch", "SELECT name FROM {} ORDER BY id DESC LIMIT 1"),
    _tool("sequelize", "SequelizeMeta", "name", "SELECT max(name) FROM {}"),
    _tool("typeorm", "migrations", "timestamp name", "SELECT name FROM {} ORDER BY timestamp DESC, id DESC LIMIT 1"),
    _tool("laravel", "migrations", "migration batch", "SELECT migration FROM {} ORDER BY id DESC LIMIT 1"),
    _tool("liquibase", "databasechangelog", "id orderexecuted", "SELECT id FROM {} ORDER BY orderexecuted DESC LIMIT 1"),
    _tool(
        "goose", "goose_db_version", "version_id is_applied",
        "SELECT version_id FROM {} WHERE is_applied ORDER BY id DESC LIMIT 1",
    ),
    _tool("refinery", "refinery_schema_history", "version name", "SELECT max(version) FROM {}"),
    _tool("diesel", "__diesel_schema_migrations", "version", "SELECT max(version) FROM {}"),
)  # fmt: skip

NO_MIGRATION = "none"
HISTORY_TABLES = frozenset(tool.table for tool in _TOOLS)

_FIND = """
SELECT c.oid::int8, n.nspname::text, c.relname::text, array_agg(a.attname::text)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND c.relname = ANY(%s) AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
GROUP BY 1, 2, 3 ORDER BY 2, 3"""


def migration_head(connection: psycopg.Connection[Any]) -> str | None:
    """Return ``tool:identity`` of the newest migration (of several tools: joined by a space); None: no tool is known.

    Within the transaction that is open. A history without any row is `tool:none`.
    """
    heads: list[str] = []
    for _oid, schema, tool in _histories(connection):
        head = f"{tool.name}:{_newest(connection, schema, tool)}"
        heads.append(head if head not in heads else f"{head}@{schema}")
    return " ".join(heads) or None


def history_heads(connection: psycopg.Connection[Any]) -> dict[int, str]:
    """Return the newest migration of each history table, by oid; of those that the role may not read none.

    In autocommit.
    """
    from psycopg.errors import InsufficientPrivilege

    heads = {}
    for oid, schema, tool in _histories(connection):
        try:
            heads[oid] = _newest(connection, schema, tool)
        except InsufficientPrivilege:
            continue
    return heads


def _histories(connection: psycopg.Connection[Any]) -> Iterator[tuple[int, str, _Tool]]:
    names = [tool.table for tool in _TOOLS]
    for oid, schema, table, columns in connection.execute(_FIND, (names,)).fetchall():
        tool = next((t for t in _TOOLS if t.table == table and _is(t, frozenset(columns))), None)
        if tool is not None:
            yield oid, schema, tool


def _newest(connection: psycopg.Connection[Any], schema: str, tool: _Tool) -> str:
    from psycopg import sql

    row = connection.execute(sql.SQL(tool.query).format(sql.Identifier(schema, tool.table))).fetchone()
    return str(row[0]) if row and row[0] is not None else NO_MIGRATION


def _is(tool: _Tool, columns: frozenset[str]) -> bool:
    return tool.columns <= columns and not tool.without & columns
