"""Every table gets rows that respect what the database demands; what gets none is said, and why."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from tests.services.reversible.conftest import Database

from backout.databases.postgres.generated.look import look
from backout.databases.postgres.generated.rows import fill
from backout.databases.postgres.generated.seen import see
from backout.databases.postgres.generated.writes import write

pytestmark = pytest.mark.slow

_SHOPS = Path(__file__).parents[1] / "reversible"

DEMANDING = {
    "checks": "CREATE TABLE t (id int PRIMARY KEY CHECK (id > 500), state text NOT NULL CHECK (state IN ('open', 'shut')), "
    "low int CHECK (low BETWEEN 5 AND 9), mail text NOT NULL CHECK (mail LIKE '%@%'), CHECK (state = 'open' OR low IS NOT NULL))",
    "a domain": "CREATE DOMAIN big AS int CHECK (VALUE > 100); CREATE TABLE t (id big PRIMARY KEY, other big NOT NULL)",
    "partitions": "CREATE TABLE t (id int, day date NOT NULL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day); "
    "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2020-01-01') TO ('2020-02-01')",
    "a list": "CREATE TABLE t (id int, kind text NOT NULL) PARTITION BY LIST (kind); CREATE TABLE t1 PARTITION OF t FOR VALUES IN ('a', 'b')",
    "itself": "CREATE TABLE t (id int PRIMARY KEY, up int NOT NULL REFERENCES t)",
    "itself, numbered": "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, up int NOT NULL REFERENCES t)",
    "one to one": "CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY REFERENCES u)",
    "a tenant": "CREATE TABLE tenant (id int PRIMARY KEY); CREATE TABLE u (tenant int REFERENCES tenant, id int, PRIMARY KEY (tenant, id)); "
    "CREATE TABLE t (tenant int NOT NULL REFERENCES tenant, u int NOT NULL, FOREIGN KEY (tenant, u) REFERENCES u, id int PRIMARY KEY)",
    "exclusion": "CREATE TABLE t (during int4range NOT NULL, EXCLUDE USING gist (during WITH &&))",
    "few values": "CREATE TYPE c AS ENUM ('r', 'g', 'b'); CREATE TABLE t (c c PRIMARY KEY, on_ boolean)",
    "short": "CREATE TABLE t (a varchar(3) UNIQUE, b char(2) NOT NULL, n numeric(4, 2) NOT NULL, x bit(3) NOT NULL)",
    "computed": "CREATE TABLE t (a int NOT NULL, b int GENERATED ALWAYS AS (100 / a) STORED)",
    "an index of an expression": "CREATE TABLE t (doc text NOT NULL); CREATE UNIQUE INDEX ON t ((doc::jsonb ->> 'doc'))",
    "names": 'CREATE SCHEMA "odd ""s"; CREATE TABLE "odd ""s"."%t" ("a ""%s" int PRIMARY KEY, "b%" text NOT NULL)',
    "rows of rows": "CREATE TYPE c AS (a int, b text); CREATE TABLE t (one c NOT NULL, many c[] NOT NULL, r int4range[] NOT NULL)",
    "a circle": "CREATE TABLE u (id int PRIMARY KEY, t int); CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL REFERENCES u); "
    "ALTER TABLE u ADD FOREIGN KEY (t) REFERENCES t",
}


@pytest.mark.parametrize("name", DEMANDING)
def test_demands_are_met(database: Database, name: str) -> None:
    connection = database.connect()
    connection.execute(DEMANDING[name].encode())
    told = fill(connection, first=1)
    assert told.empty == {}
    assert set(told.made.values()) == {3}


@pytest.mark.parametrize("file", ["shop.sql", "ledger.sql", "django.sql"])
def test_whole_schemas(database: Database, file: str) -> None:
    connection = database.connect()
    connection.execute((_SHOPS / file).read_bytes())
    assert fill(connection, first=1000).empty == {}
    assert all(len(rows) >= 3 for rows in see(connection).rows.values())


def test_every_type_of_a_column_gets_a_value(database: Database) -> None:
    connection = database.connect()
    types = connection.execute(
        """SELECT format_type(oid, NULL) FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm')
        AND typcategory IN ('A', 'B', 'D', 'G', 'I', 'N', 'R', 'S', 'T', 'U', 'V') AND typrelid = 0 AND typelem = 0
        AND typname !~ '^(reg|pg_(?!lsn)|xid|cid|tid|aclitem|gtsvector|refcursor|txid|oid|int2vector)'"""
    ).fetchall()
    if connection.info.server_version >= 180000:
        types.remove(("xml",))  # The wheel's PostgreSQL is built without it.
    for number, (name,) in enumerate(types):
        connection.execute(f"CREATE TABLE t{number} (a {name} NOT NULL, b {name}[] NOT NULL)".encode())
    assert fill(connection, first=7).empty == {}


def test_a_table_that_takes_none_is_told_with_the_reason(database: Database) -> None:
    connection = database.connect()
    connection.execute(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''never''; END'; "
        "CREATE TABLE t (a int); CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no(); CREATE TABLE u (a int)"
    )
    told = fill(connection, first=1)
    assert told.empty == {'"public"."t"': "never"}
    assert told.made == {'"public"."u"': 3}


def test_the_second_row_has_nulls_and_defaults(database: Database) -> None:
    connection = database.connect()
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, a text, b text NOT NULL DEFAULT 'usual')")
    fill(connection, first=1)
    assert connection.execute("SELECT id, a, b FROM t ORDER BY id").fetchall() == [
        (1, "a 1", "b 1"),
        (2, None, "usual"),
        (3, '{"a": 3}', '{"b": 3}'),
    ]


def test_who_knows_only_some_columns_writes_only_those(database: Database) -> None:
    connection = database.connect()
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, a text); CREATE TABLE u (id int)")
    told = fill(connection, first=1, rows=1, only={'"public"."t"': ["id"]})
    assert told.made == {'"public"."t"': 1}
    assert connection.execute("SELECT id, a FROM t").fetchall() == [(1, None)]


def test_writes_touch_old_and_new_rows(database: Database) -> None:
    connection = database.connect()
    connection.execute(
        "CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, a text, b int REFERENCES u, c numeric NOT NULL)"
    )
    fill(connection, first=1)
    before = {row["id"]: row for row in see(connection).rows['"public"."t"']}
    told = write(connection, first=100)
    after = {row["id"]: row for row in see(connection).rows['"public"."t"']}
    assert (told.inserted, told.changed, told.deleted) == (4, 3, 2)
    assert len(after.keys() - before.keys()) == 1
    assert sum(before[key] != after[key] for key in before.keys() & after.keys()) == 2
    assert len(before.keys() - after.keys()) == 1


def test_what_backout_hides_is_not_seen(database: Database) -> None:
    connection = database.connect()
    connection.execute(
        "CREATE SCHEMA backout_hidden; CREATE TABLE backout_hidden._bo_1 (a int); "
        "CREATE TABLE t (a int, _bo_2 int, CONSTRAINT _bo_3 CHECK (_bo_2 > 1))"
    )
    (table,) = look(connection).tables.values()
    assert [c.name for c in table.columns] == ["a"]
    assert table.rules == {}


def test_a_policy_that_hides_rows_is_an_error(database: Database) -> None:
    connection = database.connect()
    connection.execute(
        "CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY"
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        see(connection)
