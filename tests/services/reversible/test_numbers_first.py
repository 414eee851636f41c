"""A client asks a sequence for a number and then writes the row, as ORMs do: no way keeps it waiting for long, nor waits for ever."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import psycopg
import pytest

from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.reversible.locks import Locked

from .conftest import Database
from .engine import migrate, redo, run, undo

pytestmark = pytest.mark.slow

BEFORE = "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, n serial)"


@pytest.fixture
def link(database: Database) -> DirectLink:
    made = database.link()
    run(made, BEFORE)
    return made


class Clients:
    """They number and write rows until they are told to end; whatever is gone meanwhile they ask for again."""

    def __init__(self, database: Database, sequence: str, insert: str) -> None:
        self._url, self._sequence, self._insert = database.url, sequence, insert
        self._end = threading.Event()
        self.errors: set[str] = set()
        self.slowest_s = 0.0
        self._threads = [threading.Thread(target=self._work) for _ in range(3)]

    def __enter__(self) -> Clients:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for one in self._threads:
            one.join()

    def _work(self) -> None:
        with closing(psycopg.connect(self._url, autocommit=True)) as connection:
            while not self._end.is_set():
                begun_s = time.perf_counter()
                try:
                    with connection.transaction():
                        connection.execute(f"SELECT nextval('{self._sequence}')")
                        self._end.wait(0.002)  # the application makes the row
                        connection.execute(self._insert)
                except psycopg.Error as error:
                    self.errors.add(error.sqlstate or "")
                self.slowest_s = max(self.slowest_s, time.perf_counter() - begun_s)


@pytest.mark.parametrize(
    ("up", "sequence", "insert"),
    [
        ("ALTER TABLE t ADD m serial", "t_m_seq", "INSERT INTO t (v) VALUES ('x')"),
        ("ALTER TABLE t DROP COLUMN n", "t_n_seq", "INSERT INTO t (v) VALUES ('x')"),
        ("CREATE TABLE u (id serial PRIMARY KEY, v text)", "u_id_seq", "INSERT INTO u (v) VALUES ('x')"),
        ("DROP TABLE t", "t_n_seq", "INSERT INTO t (v) VALUES ('x')"),
        ("ALTER TABLE t ALTER COLUMN n TYPE bigint", "t_n_seq", "INSERT INTO t (v) VALUES ('x')"),
        ("ALTER SEQUENCE t_n_seq RENAME TO s; ALTER TABLE t ADD x int", "s", "INSERT INTO t (v) VALUES ('x')"),
    ],
)  # fmt: skip
def test_every_way_is_gone_while_clients_ask_for_a_number_first(
    link: DirectLink, database: Database, up: str, sequence: str, insert: str
) -> None:
    with Clients(database, sequence, insert) as clients:
        number = migrate(link, up)
        for _ in range(2):
            undo(link, number)
            redo(link, number)
    # What is gone, or was another when the statement was planned, is an error; nobody is the victim of a deadlock (40P01).
    assert clients.errors <= {"42P01", "42703", "0A000", "3F000"}, clients.errors


def test_who_keeps_a_number_and_writes_nothing_is_told_as_a_lock_and_keeps_nobody_waiting(
    link: DirectLink, database: Database
) -> None:
    number = migrate(link, "ALTER TABLE t ADD m serial")
    holder, other = database.link(), database.link()
    holder.rows("BEGIN")
    holder.rows("SELECT nextval('t_m_seq')")
    with pytest.raises(Locked):
        undo(link, number)
    other.rows("INSERT INTO t (v) VALUES ('x')")
    holder.rows("COMMIT")
    undo(link, number)
