"""What a client undoes to its savepoint is no obstacle; what is not logged is one, wherever its savepoints stand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.keeper import Kept, ReversibleKeeper
from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.reversible.proxy.server import Proxy
from backout.databases.postgres.reversible.proxy.upstream import Upstream
from backout.databases.postgres.reversible.rows.capture import Capture

from .conftest import Database
from .engine import redo, run, undo

pytestmark = pytest.mark.slow

BEFORE = """
CREATE TABLE a (id int PRIMARY KEY, x text);
CREATE TABLE b (id int);
INSERT INTO a VALUES (1, 'one'), (2, 'two');
CREATE FUNCTION put(n int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'INSERT INTO ' || chr(98) || ' SELECT 1 FROM generate_series(1, $1)' USING n; END $$;
"""
NOT_LOGGED = "cannot undo what this transaction did to rows of public.b"


class Client:
    """A client of the proxy, and the number of its migration."""

    def __init__(self, number: int, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self.number, self.connection = number, connection

    def __call__(self, *statements: str) -> None:
        """Send one by one."""
        for statement in statements:
            self.connection.execute(statement.encode())


@contextmanager
def migrating(database: Database, before: str = BEFORE) -> Iterator[Client]:
    """Hand over a client, in a database with some things, whose migration is journalled as applied at the end."""
    link = database.link()
    run(link, before)
    journal.install(link)
    number = journal.begin(link, "2.0.0", "test")
    with ExitStack() as ending:
        own = DirectLink(ending.enter_context(psycopg.connect(database.url, autocommit=True)))
        kept = Kept(number, lambda: own)
        proxy = ending.enter_context(Proxy(Upstream.of(database.url), lambda: ReversibleKeeper(kept)))
        url = proxy.environment()["DATABASE_URL"]
        with psycopg.connect(url, autocommit=True) as connection:
            yield Client(number, connection)
        assert proxy.failures == []
        assert Capture(own, number).remove() == []
    journal.end(link, number, "applied")


def test_rows_that_were_undone_to_a_savepoint_are_no_obstacle(database: Database) -> None:
    with migrating(database) as client:
        client("BEGIN", "UPDATE a SET x = 'first' WHERE id = 1", "SAVEPOINT s", "UPDATE a SET x = 'undone'")
        client("ROLLBACK TO s", "UPDATE a SET x = 'second' WHERE id = 2", "SELECT put(3)", "ROLLBACK TO s")
        client("INSERT INTO a VALUES (3, 'three')", "RELEASE s", "COMMIT")
    link = database.link()
    assert [row["x"] for row in link.rows("SELECT x FROM a ORDER BY id")] == ["first", "two", "three"]
    undo(link, client.number)
    assert [row["x"] for row in link.rows("SELECT x FROM a ORDER BY id")] == ["one", "two"]
    assert link.rows("SELECT * FROM b") == []


def test_a_client_that_goes_on_after_each_error_is_served(database: Database) -> None:
    """As psql with ON_ERROR_ROLLBACK, and an atomic block of Django in another one."""
    with migrating(database) as client:
        client("BEGIN")
        for number in range(3):
            client("SAVEPOINT s", f"UPDATE a SET x = x || '{number}'")
            with pytest.raises(psycopg.errors.UniqueViolation):
                client("INSERT INTO a VALUES (1, 'again')")
            client("ROLLBACK TO s")
        client("UPDATE a SET x = 'new' WHERE id = 1", "COMMIT")
    link = database.link()
    assert [row["x"] for row in link.rows("SELECT x FROM a ORDER BY id")] == ["new", "two"]
    undo(link, client.number)
    assert [row["x"] for row in link.rows("SELECT x FROM a ORDER BY id")] == ["one", "two"]


@pytest.mark.parametrize(
    "statements",
    [
        ("SELECT put(1)", "SAVEPOINT s", "UPDATE a SET x = ''", "ROLLBACK TO s"),
        ("SELECT put(1)", "SAVEPOINT s", "UPDATE a SET x = ''", "ROLLBACK TO s", "RELEASE s"),
        ("SAVEPOINT s", "UPDATE a SET x = ''", "ROLLBACK TO s", "SELECT put(1)"),
        ("SAVEPOINT s", "SELECT put(1)", "SAVEPOINT t", "UPDATE a SET x = ''", "ROLLBACK TO t"),
        ("SAVEPOINT s", "SELECT put(1)", "RELEASE s", "SAVEPOINT s", "ROLLBACK TO s"),
        ("TRUNCATE b", "SAVEPOINT s", "SELECT put(2)", "RELEASE s"),
    ],
)
def test_rows_that_are_not_logged_are_refused_wherever_savepoints_stand(
    database: Database, statements: tuple[str, ...]
) -> None:
    with migrating(database) as client:
        client("BEGIN", *statements)
        with pytest.raises(psycopg.errors.FeatureNotSupported, match=NOT_LOGGED):
            client("COMMIT")
    assert database.link().rows("SELECT * FROM b") == []
    assert [row["x"] for row in database.link().rows("SELECT x FROM a ORDER BY id")] == ["one", "two"]


def test_an_update_that_was_undone_is_not_run_again(database: Database) -> None:
    link = database.link()
    with migrating(database) as client:
        client("BEGIN", "ALTER TABLE a ADD n text", "SAVEPOINT s", "UPDATE a SET n = 'no'", "ROLLBACK TO s")
        client("UPDATE a SET n = x", "SAVEPOINT s", "UPDATE a SET n = n || '!'", "RELEASE s", "COMMIT")
    undo(link, client.number)
    run(link, "INSERT INTO a VALUES (3, 'three'); UPDATE a SET x = 'ONE' WHERE id = 1")
    redo(link, client.number)
    assert link.rows("SELECT n FROM a ORDER BY id") == [{"n": "ONE!"}, {"n": "two!"}, {"n": "three!"}]
