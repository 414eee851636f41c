"""Rows that meet what a migration will demand, and rows that only the later schema allows."""

from __future__ import annotations

import psycopg
import pytest
from tests.services.reversible.conftest import Database

from backout.databases.postgres.generated.foreseen import foreseen
from backout.databases.postgres.generated.look import look
from backout.databases.postgres.generated.rows import fill
from backout.databases.postgres.generated.tempting import tempt

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("server", [15], indirect=True)]

_BEFORE = (
    "CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, a text, n int, u int, k text)"
)

DEMANDS = {
    "a value": "ALTER TABLE t ALTER n SET NOT NULL",
    "an enum": "CREATE TYPE e AS ENUM ('x', 'y'); ALTER TABLE t ALTER a TYPE e USING a::e",
    "a CHECK": "ALTER TABLE t ADD CHECK (a IN ('red', 'blue'))",
    "a foreign key": "ALTER TABLE t ADD FOREIGN KEY (u) REFERENCES u",
    "a foreign key of a renamed column": "ALTER TABLE t RENAME u TO v; ALTER TABLE t ADD FOREIGN KEY (v) REFERENCES u; ALTER TABLE t ALTER v SET NOT NULL",
    "a primary key": "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (k)",
}


@pytest.mark.parametrize("name", DEMANDS)
def test_rows_meet_what_the_migration_will_demand(database: Database, name: str) -> None:
    connection = database.connect()
    connection.execute(_BEFORE)
    before = look(connection)
    with connection.transaction() as empty:
        connection.execute(DEMANDS[name].encode())
        later = look(connection)
        raise psycopg.Rollback(empty)
    assert fill(connection, first=1, seen=foreseen(before, later)).empty == {}
    connection.execute(DEMANDS[name].encode())
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (3,)


FORBIDDEN = {
    "a value twice": ("ALTER TABLE t ADD CONSTRAINT k UNIQUE (k)", "ALTER TABLE t DROP CONSTRAINT k"),
    "no value": ("ALTER TABLE t ALTER n SET NOT NULL", "ALTER TABLE t ALTER n DROP NOT NULL"),
    "no partner": (
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (u) REFERENCES u",
        "ALTER TABLE t DROP CONSTRAINT f",
    ),
    "against a rule": ("ALTER TABLE t ADD CONSTRAINT c CHECK (n >= 0)", "ALTER TABLE t DROP CONSTRAINT c"),
    "too long": ("ALTER TABLE t ALTER a TYPE varchar(20)", "ALTER TABLE t ALTER a TYPE text"),
    "too large": ("SELECT 1", "ALTER TABLE t ALTER n TYPE bigint"),
    "a new label": (
        "CREATE TYPE e AS ENUM ('x', 'y', 'z', 'w'); ALTER TABLE t ALTER a TYPE e USING NULL",
        "ALTER TYPE e ADD VALUE 'v'",
    ),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_rows_get_what_only_the_later_schema_allows(database: Database, name: str) -> None:
    before, up = FORBIDDEN[name]
    connection = database.connect()
    connection.execute(_BEFORE)
    connection.execute(before.encode())
    was = look(connection)
    assert fill(connection, first=1, seen=foreseen(was, was), form="name").empty == {}
    connection.execute(up.encode())
    assert tempt(connection, was, first=900) >= 1
    back = {
        "too large": "ALTER TABLE t ALTER n TYPE int",
        "a new label": "CREATE TYPE f AS ENUM ('x', 'y', 'z', 'w'); ALTER TABLE t ALTER a TYPE f USING a::text::f",
        "too long": "ALTER TABLE t ADD CHECK (length(a) <= 20)",
    }
    with pytest.raises((psycopg.IntegrityError, psycopg.DataError)):
        connection.execute(back.get(name, before).encode())


def test_what_stays_allowed_tempts_nobody(database: Database) -> None:
    connection = database.connect()
    connection.execute(_BEFORE)
    was = look(connection)
    fill(connection, first=1)
    connection.execute("ALTER TABLE t ADD x int; ALTER TABLE t DROP COLUMN k; ALTER TABLE t RENAME a TO b")
    assert tempt(connection, was, first=900) == 0
