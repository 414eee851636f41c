"""Rows that a migration itself changes, beside changes of the schema: the history table of a tool, a backfill, a clean-up."""

from __future__ import annotations

import psycopg
import pytest

from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.embedded.server import EmbeddedPostgres

from .conftest import Database
from .engine import migrate, redo, run, undo

pytestmark = pytest.mark.slow

BEFORE = """
CREATE SCHEMA tool;
CREATE TABLE tool.history (id serial PRIMARY KEY, name text NOT NULL);
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, active boolean NOT NULL DEFAULT true);
CREATE TABLE posts (id int PRIMARY KEY, author int NOT NULL REFERENCES users ON DELETE CASCADE, body text);
INSERT INTO tool.history (name) VALUES ('0001');
INSERT INTO users VALUES (1, 'A@x', true), (2, 'b@x', false), (3, 'C@x', true);
INSERT INTO posts VALUES (10, 1, 'one'), (20, 2, 'two');
"""
UP = """
ALTER TABLE users ADD COLUMN name text;
UPDATE users SET email = lower(email);
DELETE FROM users WHERE NOT active;
INSERT INTO users (id, email) VALUES (9, 'system@x');
INSERT INTO tool.history (name) VALUES ('0002');
"""


def test_rows_come_back_and_what_was_written_since_stays(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    number = migrate(link, UP)
    assert link.rows("SELECT id FROM posts") == [{"id": "10"}]
    run(
        link,
        "UPDATE users SET email = 'new@x', name = 'Ann' WHERE id = 3; INSERT INTO users VALUES (4, 'd@x', true, 'Dan')",
    )

    undo(link, number)
    assert link.rows("SELECT id, email, active FROM users ORDER BY id") == [
        {"id": "1", "email": "A@x", "active": "t"},
        {"id": "2", "email": "b@x", "active": "f"},
        {"id": "3", "email": "new@x", "active": "t"},
        {"id": "4", "email": "d@x", "active": "t"},
    ]
    assert link.rows("SELECT id, author, body FROM posts ORDER BY id") == [
        {"id": "10", "author": "1", "body": "one"},
        {"id": "20", "author": "2", "body": "two"},
    ]
    assert link.rows("SELECT name FROM tool.history") == [{"name": "0001"}]

    redo(link, number)
    assert link.rows("SELECT id, email, name FROM users ORDER BY id") == [
        {"id": "1", "email": "a@x", "name": None},
        {"id": "3", "email": "new@x", "name": "Ann"},
        {"id": "4", "email": "d@x", "name": "Dan"},
        {"id": "9", "email": "system@x", "name": None},
    ]
    assert link.rows("SELECT name FROM tool.history ORDER BY id") == [{"name": "0001"}, {"name": "0002"}]


def test_a_column_that_is_filled_and_required_in_one_migration(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    number = migrate(
        link,
        "ALTER TABLE users ADD COLUMN name text; UPDATE users SET name = email; ALTER TABLE users ALTER COLUMN name SET NOT NULL",
    )
    undo(link, number)
    assert link.rows("SELECT id, email, active FROM users ORDER BY id")[0] == {
        "id": "1",
        "email": "A@x",
        "active": "t",
    }
    redo(link, number)
    assert link.rows("SELECT id, name FROM users ORDER BY id")[0] == {"id": "1", "name": "A@x"}


def test_truncate_keeps_the_rows_and_those_written_since(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    number = migrate(link, "TRUNCATE users RESTART IDENTITY CASCADE; INSERT INTO users VALUES (7, 'seed@x')")
    assert link.rows("SELECT id FROM users") == [{"id": "7"}]
    assert link.rows("SELECT id FROM posts") == []
    run(link, "INSERT INTO users VALUES (8, 'new@x'); INSERT INTO posts VALUES (80, 8, 'new')")
    undo(link, number)
    assert [one["id"] for one in link.rows("SELECT id FROM users ORDER BY id")] == ["1", "2", "3", "8"]
    assert [one["id"] for one in link.rows("SELECT id FROM posts ORDER BY id")] == ["10", "20", "80"]
    redo(link, number)
    assert [one["id"] for one in link.rows("SELECT id FROM users ORDER BY id")] == ["7", "8"]
    assert [one["id"] for one in link.rows("SELECT id FROM posts ORDER BY id")] == ["80"]


def test_where_the_server_does_not_count_nothing_is_committed(
    database: Database, postgres: EmbeddedPostgres
) -> None:
    link = database.link()
    run(link, BEFORE)
    with psycopg.connect(postgres.superuser_url, autocommit=True) as admin:
        admin.execute("ALTER ROLE collector SET track_counts = off")
        try:
            with pytest.raises(Veto, match="cannot tell which rows"):
                migrate(database.link(), "UPDATE users SET email = 'x'")
        finally:
            admin.execute("ALTER ROLE collector RESET track_counts")
    assert link.rows("SELECT count(*) AS n FROM users WHERE email = 'x'") == [{"n": "0"}]
