"""The newest migration is read from the history table of whichever tool made it."""

from __future__ import annotations

from typing import Any

import pytest

from backout.databases.postgres.heads import migration_head

pytestmark = pytest.mark.slow

HISTORIES = {
    "drizzle:h2": (
        "CREATE SCHEMA drizzle",
        "CREATE TABLE drizzle.__drizzle_migrations (id serial, hash text, created_at bigint)",
        "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('h2', 20), ('h1', 10)",
    ),
    "prisma:20240102_b": (
        (
            "CREATE TABLE _prisma_migrations"
            " (migration_name text, finished_at timestamptz, rolled_back_at timestamptz)"
        ),
        (
            "INSERT INTO _prisma_migrations VALUES ('20240101_a', now(), NULL), ('20240102_b', now(), NULL),"
            " ('20240103_failed', NULL, NULL), ('20240104_back', now(), now())"
        ),
    ),
    "alembic:a1,b2": (
        "CREATE TABLE alembic_version (version_num text)",
        "INSERT INTO alembic_version VALUES ('b2'), ('a1')",
    ),
    "alembic:none": ("CREATE TABLE alembic_version (version_num text)",),
    "flyway:2": (
        "CREATE TABLE flyway_schema_history (installed_rank int, version text, description text, success bool)",
        "INSERT INTO flyway_schema_history VALUES (1, '1', '', true), (2, '2', '', true), (3, '3', '', false)",
    ),
    "django:app.0002_b": (
        "CREATE TABLE django_migrations (id serial, app text, name text, applied timestamptz)",
        "INSERT INTO django_migrations (app, name) VALUES ('app', '0001_a'), ('app', '0002_b')",
    ),
    "rails:20240102": (
        "CREATE TABLE schema_migrations (version text)",
        "INSERT INTO schema_migrations VALUES ('20240101'), ('20240102')",
    ),
    "golang-migrate:7": (
        "CREATE TABLE schema_migrations (version bigint, dirty bool)",
        "INSERT INTO schema_migrations VALUES (7, false)",
    ),
    "sqlx:2": (
        "CREATE TABLE _sqlx_migrations (version bigint, success bool)",
        "INSERT INTO _sqlx_migrations VALUES (1, true), (2, true), (3, false)",
    ),
    "sequelize:b.js": (
        'CREATE TABLE "SequelizeMeta" (name text)',
        """INSERT INTO "SequelizeMeta" VALUES ('a.js'), ('b.js')""",
    ),
}


@pytest.mark.parametrize("head", HISTORIES)
def test_the_head_of_a_tool(head: str, database: Any) -> None:
    database.run(*HISTORIES[head])
    with database.connect() as connection:
        assert migration_head(connection) == head


def test_without_a_history_no_head_is_known_and_of_two_tools_both_are(database: Any) -> None:
    with database.connect() as connection:
        assert migration_head(connection) is None
        database.run("CREATE TABLE schema_migrations (something_else int)")
        assert migration_head(connection) is None
        database.run(*HISTORIES["alembic:a1,b2"], *HISTORIES["sqlx:2"])
        assert migration_head(connection) == "sqlx:2 alembic:a1,b2"
