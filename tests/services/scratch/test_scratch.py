"""A scratch database has the live one's schema and none of its rows, and is gone afterwards; the live one is only read."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.services.reversible import servers
from tests.services.reversible.conftest import Database
from tests.services.reversible.servers import Server

from backout.databases.postgres.connect import Connector
from backout.databases.postgres.reversible.fingerprint import Print, differences, read_print
from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.scratch.server import PREFIX, scratch
from backout.errors import NotPossible
from backout.redact import Redactor

pytestmark = pytest.mark.slow

_SHOP = Path(__file__).parents[1] / "reversible/shop.sql"


def _connector(url: str) -> Connector:
    return Connector(url, Redactor(), 5, 30, 5)


def _printed(url: str) -> Print:
    with closing(psycopg.connect(url)) as connection:
        return read_print(DirectLink(connection))


def test_a_clone_is_the_schema_with_owners_and_privileges_and_no_rows(database: Database) -> None:
    live = database.connect()
    live.execute(_SHOP.read_bytes())
    live.execute("CREATE TABLE given (id int); GRANT SELECT ON given TO reader; INSERT INTO given VALUES (1)")
    with scratch(None, _connector(database.url)) as made:
        url = made.clone(_connector(database.url))
        assert made.unknown == []
        assert differences(_printed(database.url), _printed(url)) == []
        with closing(psycopg.connect(url)) as there:
            assert there.execute("SELECT count(*) FROM given").fetchone() == (0,)
            assert there.info.user == live.info.user


def test_histories_of_tools_come_with_their_rows_and_go_on_from_there(database: Database) -> None:
    live = database.connect()
    live.execute(
        "CREATE SCHEMA drizzle; CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint); "
        "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('a', 1), ('b', 2)"
    )
    with (
        scratch(None, _connector(database.url)) as made,
        closing(psycopg.connect(made.clone(_connector(database.url)))) as there,
    ):
        rows = there.execute("SELECT id, hash FROM drizzle.__drizzle_migrations ORDER BY id").fetchall()
        (new,) = there.execute(
            "INSERT INTO drizzle.__drizzle_migrations (hash) VALUES ('c') RETURNING id"
        ).fetchall()
    assert rows == [(1, "a"), (2, "b")]
    assert new == (3,)


def test_what_backout_hid_is_not_in_a_clone(database: Database) -> None:
    live = database.connect()
    live.execute(
        "CREATE SCHEMA backout; CREATE SCHEMA backout_hidden; CREATE TABLE backout_hidden._bo_1 (a int); "
        "CREATE TABLE t (a int, b int CONSTRAINT _bo_4_nn CHECK (b IS NOT NULL), _bo_2 int); CREATE INDEX _bo_2_i ON t (_bo_2)"
    )
    with scratch(None, _connector(database.url)) as made:
        things = _printed(made.clone(_connector(database.url))).things
    assert "column public.t.b" in things
    assert "NOT NULL" in things["column public.t.b"]
    assert not [name for name in things if "_bo_" in name or "backout" in name]


def test_a_copy_is_one_and_leaves_the_first_as_it_is(database: Database) -> None:
    database.connect().execute("CREATE TABLE t (a int)")
    with scratch(None, _connector(database.url)) as made:
        first = made.clone(_connector(database.url))
        with closing(psycopg.connect(first, autocommit=True)) as one:
            one.execute("INSERT INTO t VALUES (1)")
        with closing(psycopg.connect(made.copy(first), autocommit=True)) as other:
            assert other.execute("DELETE FROM t RETURNING a").fetchall() == [(1,)]
        with closing(psycopg.connect(first)) as one:
            assert one.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_a_server_that_was_named_is_left_as_it_was(server: Server, database: Database) -> None:
    database.connect().execute("CREATE TABLE t (a int)")
    with pytest.raises(ZeroDivisionError), scratch(server.postgres.url, _connector(database.url)) as made:
        assert made.unknown == []
        first = made.clone(_connector(database.url))
        made.copy(first)
        _ = 1 / 0
    with server.connected() as connection:
        assert (
            connection.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (PREFIX,)
            ).fetchall()
            == []
        )


def test_what_a_kill_has_left_on_a_named_server_is_dropped_days_later(
    server: Server, database: Database
) -> None:
    old, new = f"{PREFIX}20200101_0123456789ab", f"{PREFIX}29990101_0123456789ab"
    others = f"{PREFIX}20200101_somebodys"
    find = "SELECT datname FROM pg_database WHERE datname = ANY (%s) ORDER BY 1"
    with server.connected(superuser=True) as admin:
        for name in (old, new, others):
            admin.execute(f"CREATE DATABASE {name} OWNER collector".encode())
        try:
            with scratch(server.postgres.url, _connector(database.url)):
                left = [name for (name,) in admin.execute(find, ([old, new, others],)).fetchall()]
            assert left == [others, new]
        finally:
            for name in (old, new, others):
                admin.execute(f"DROP DATABASE IF EXISTS {name}".encode())


def test_another_major_version_and_a_lacking_extension_make_it_unknown(
    server: Server, database: Database, tmp_path: Path
) -> None:
    other = 18 if server.version == 15 else 15
    database.connect().execute("CREATE TABLE t (a int)")
    with (
        servers.server(other, tmp_path) as there,
        scratch(there.postgres.superuser_url, _connector(database.url)) as made,
    ):
        assert [str(one) for one in made.unknown] == [
            f"The scratch server is PostgreSQL {other}, the live one is {server.version}"
        ]


def test_a_role_that_may_make_no_database_is_told(server: Server, database: Database) -> None:
    with server.connected(superuser=True) as admin:
        admin.execute("CREATE ROLE poor LOGIN PASSWORD 'x'")
    poor = database.url.replace(database.url.split("@")[0], "postgresql://poor:x")
    try:
        with (
            pytest.raises(NotPossible, match="permission denied to create database"),
            scratch(poor, _connector(database.url)) as made,
        ):
            made.empty()
    finally:
        with server.connected(superuser=True) as admin:
            admin.execute("DROP ROLE poor")
