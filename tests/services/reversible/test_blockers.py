"""Who waits for whom: the root is found, ended when it may be, and said when it may not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from psycopg import sql
from tests.waiting import until

from backout.app.migrations import Migrations
from backout.embedded.server import EmbeddedPostgres

from .conftest import Database
from .engine import migrate, run
from .test_finalize import BEFORE

pytestmark = pytest.mark.slow


@contextmanager
def behind(database: Database, *queries: str) -> Iterator[list[str]]:
    """Run queries in sessions of their own, which wait; give their errors."""
    errors: list[str] = []

    def running(query: str) -> None:
        try:
            with psycopg.connect(database.url, autocommit=True, application_name="shop") as connection:
                connection.execute(query.encode())
        except psycopg.Error as error:
            errors.append(str(error))

    threads = [threading.Thread(target=running, args=(query,)) for query in queries]
    for count, thread in enumerate(threads, start=1):
        thread.start()
        until(lambda count=count: waiting(database) == count)
    yield errors
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def waiting(database: Database) -> int:
    return sum(bool(one.blocked_by) for one in Migrations(database.url).blockers().sessions)


def test_nobody_waits(database: Database) -> None:
    assert Migrations(database.url).blockers().sessions == ()


def test_the_root_comes_first_and_is_ended(database: Database) -> None:
    link, hung = database.link(), database.link()
    run(link, BEFORE)
    number = migrate(link, "ALTER TABLE t ADD COLUMN d int")
    hung.rows("BEGIN")
    hung.rows("LOCK TABLE t IN ACCESS EXCLUSIVE MODE /* 'sesame' password */")
    with behind(database, "SELECT count(*) FROM t", "ALTER TABLE t ADD COLUMN z int") as errors:
        migrations = Migrations(database.url)
        found = migrations.blockers()
        pids = [one.pid for one in found.sessions if one.depth == 0]
        assert pids == [hung.connection.info.backend_pid]
        root = found.sessions[0]
        assert (root.state, root.endable, root.kind) == ("idle in transaction", True, "session")
        assert "sesame" not in found.model_dump_json()
        later = {one.query: one for one in found.sessions[1:]}
        assert root.pid in later["SELECT count(*) FROM t"].blocked_by
        assert later["ALTER TABLE t ADD COLUMN z int"].application == "shop"
        done = migrations.end_blockers(found)
        assert (done.ended, done.kept) == (tuple(pids), {})
        assert [(one.id, one.state) for one in done.migrations] == [(number, "applied")]
        assert done.migrations[0].changes == ("column public.t.d made",)
    assert errors == []
    assert migrations.blockers().sessions == ()


def test_a_superusers_session_is_left_and_told(database: Database, postgres: EmbeddedPostgres) -> None:
    link = database.link()
    run(link, BEFORE)
    url = postgres.superuser_url.rsplit("/", 1)[0] + "/" + database.url.rsplit("/", 1)[1]
    with closing(psycopg.connect(url)) as hung:
        hung.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        with behind(database, "SELECT count(*) FROM t") as errors:
            migrations = Migrations(database.url)
            found = migrations.blockers()
            root = found.sessions[0]
            assert (root.kind, root.endable) == ("superuser", False)
            done = migrations.end_blockers(found)
            assert done.ended == ()
            assert done.kept == {root.pid: "only a superuser may end a superuser's session"}
            hung.rollback()
    assert errors == []


def test_a_process_that_is_another_one_since_is_left_alone(database: Database) -> None:
    link, hung = database.link(), database.link()
    run(link, BEFORE)
    hung.rows("BEGIN")
    hung.rows("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    with behind(database, "SELECT count(*) FROM t"):
        migrations = Migrations(database.url)
        found = migrations.blockers()
        other = found.sessions[0].model_copy(update={"began": "2001-01-01 00:00:00+00"})
        migrations.end_blockers(found.model_copy(update={"sessions": (other,)}))
        assert hung.rows("SELECT 1 AS there") == [{"there": "1"}]
        hung.rows("ROLLBACK")


def test_another_databases_sessions_are_not_looked_at(database: Database, postgres: EmbeddedPostgres) -> None:
    name = sql.Identifier(database.url.rsplit("/", 1)[1] + "_other")
    with closing(psycopg.connect(postgres.superuser_url, autocommit=True)) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER collector").format(name))
        try:
            other = Database(database.url + "_other")
            hung = other.link()
            run(hung, "CREATE TABLE t (a int)")
            hung.rows("BEGIN")
            hung.rows("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
            with behind(other, "SELECT count(*) FROM t"):
                assert waiting(database) == 0
                hung.rows("ROLLBACK")
            other.close()
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
