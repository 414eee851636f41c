"""A real subscriber of logical replication: what would stop it is refused, or told where it cannot wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.command_line import Cli, Done
from tests.crash.suite import until

from backout.children import Children
from backout.embedded.binaries import account
from backout.embedded.server import EmbeddedPostgres

from .servers import SOURCES, VERSIONS
from .tools import environment

pytestmark = pytest.mark.slow

T = "CREATE TABLE t (id int PRIMARY KEY, a text, n int)"


@dataclass
class Followed:
    """A database, and another one that subscribes to it."""

    url: str
    ours: psycopg.Connection
    theirs: psycopg.Connection
    cli: Cli

    def publish(self, what: str) -> None:
        self.ours.execute(T)
        self.theirs.execute(T)
        self.ours.execute(f"CREATE PUBLICATION p FOR {what}")
        self.ours.execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
        told = self.ours.info
        there = make_conninfo(
            host=told.host, port=told.port, user=told.user, password=told.password, dbname=told.dbname
        )
        self.theirs.execute(
            f"CREATE SUBSCRIPTION s CONNECTION '{there}' PUBLICATION p WITH (create_slot = false, slot_name = 's')"
        )

    def arrives(self, statement: str, look: str, found: str) -> None:
        self.ours.execute(statement)
        until(lambda: self.theirs.execute(look).fetchone() == (found,))

    def migrate(self, statement: str, *words: str) -> Done:
        return self.cli("migrate", *words, "--", "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement)


@pytest.fixture(params=VERSIONS)
def followed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Followed]:
    with closing(Children(tmp_path / "run")) as children:
        server = EmbeddedPostgres(tmp_path, children, binaries=SOURCES[request.param](account()), fsync=False)
        server.start()
        try:
            with psycopg.connect(server.superuser_url, autocommit=True) as admin:
                admin.execute("ALTER SYSTEM SET wal_level = 'logical'")
                admin.execute("CREATE DATABASE theirs")
            server.stop()
            server.start()
            ours_url = server.superuser_url.rsplit("/", 1)[0] + "/collector"
            theirs_url = server.superuser_url.rsplit("/", 1)[0] + "/theirs"
            with (
                psycopg.connect(ours_url, autocommit=True) as ours,
                psycopg.connect(theirs_url, autocommit=True) as theirs,
            ):
                yield Followed(ours_url, ours, theirs, Cli(tmp_path, environment(ours_url, {})))
                theirs.execute("DROP SUBSCRIPTION IF EXISTS s")
        finally:
            server.close()


def test_a_column_that_subscribers_follow_is_not_hidden_and_they_go_on(followed: Followed) -> None:
    followed.publish("TABLE t")
    followed.arrives("INSERT INTO t VALUES (1, 'a1', 1)", "SELECT a FROM t WHERE id = 1", "a1")
    for statement in ("ALTER TABLE t DROP COLUMN n", "ALTER TABLE t ALTER n TYPE bigint"):
        refused = followed.migrate(statement)
        assert refused.code != 0
        assert "publication p has all columns of its table" in refused.everything
        assert "--accept subscribers" in refused.everything
    followed.arrives("UPDATE t SET a = 'A1'", "SELECT a FROM t WHERE id = 1", "A1")


def test_a_column_that_is_kept_beside_goes_and_comes_and_they_go_on(followed: Followed) -> None:
    followed.publish("TABLE t")
    followed.arrives("INSERT INTO t VALUES (1, 'a1', 1)", "SELECT a FROM t WHERE id = 1", "a1")
    followed.migrate("ALTER TABLE t DROP COLUMN n", "--keep", "t=side-table").ended(0)
    followed.arrives("INSERT INTO t VALUES (2, 'a2')", "SELECT a FROM t WHERE id = 2", "a2")
    told = followed.cli("db", "rollback", "--yes").ended(0).everything
    assert "public.t.n is there again, and publication p has it" in told
    followed.arrives("INSERT INTO t VALUES (3, 'a3', 3)", "SELECT a FROM t WHERE id = 3", "a3")
    assert followed.theirs.execute("SELECT n FROM t ORDER BY id").fetchall() == [(1,), (None,), (3,)]


def test_a_column_that_is_hidden_on_the_way_back_is_told(followed: Followed) -> None:
    followed.publish("TABLE t")
    followed.theirs.execute("ALTER TABLE t ADD COLUMN more text")
    followed.migrate("ALTER TABLE t ADD COLUMN more text").ended(0)
    followed.arrives("INSERT INTO t VALUES (1, 'a1', 1, 'm1')", "SELECT more FROM t WHERE id = 1", "m1")
    told = followed.cli("db", "rollback", "--yes").ended(0).everything
    assert "public.t.more is called _bo_1 now, and publication p has it" in told
    # What it says helps.
    followed.theirs.execute("ALTER TABLE t ADD COLUMN _bo_1 text")
    followed.arrives("INSERT INTO t VALUES (2, 'a2', 2)", "SELECT a FROM t WHERE id = 2", "a2")


def test_where_all_tables_are_followed_nothing_is_run_until_it_is_accepted(followed: Followed) -> None:
    followed.publish("ALL TABLES")
    followed.migrate("ALTER TABLE t ADD COLUMN more text").refused(
        8, what="Publication p has all tables", now="Nothing was run", next="--accept subscribers"
    )
    assert followed.ours.execute("SELECT to_regclass('backout.migration')").fetchone() == (None,)
    followed.migrate("ALTER TABLE t DROP COLUMN n", "--accept", "subscribers").ended(0)


def test_a_publication_that_nobody_follows_hinders_nothing(followed: Followed) -> None:
    followed.ours.execute(f"{T}; CREATE PUBLICATION p FOR ALL TABLES")
    followed.migrate("ALTER TABLE t DROP COLUMN n").ended(0)


def test_a_publication_of_named_columns_hinders_what_it_names_alone(followed: Followed) -> None:
    followed.publish("TABLE t (id, a)")
    followed.migrate("ALTER TABLE t DROP COLUMN n").ended(0)
    followed.arrives("INSERT INTO t VALUES (1, 'a1')", "SELECT a FROM t WHERE id = 1", "a1")
