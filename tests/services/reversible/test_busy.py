"""The way back among others: a reader in the way is named, and writers hardly notice."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from tests.waiting import until

from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.locks import Locked

from .conftest import Database, in_background
from .engine import migrate, redo, run, undo
from .states import schema_of, seen

pytestmark = pytest.mark.slow


def test_11_and_c25_a_reader_in_the_way_is_named_and_nothing_is_changed(database: Database) -> None:
    link, reader = database.link(), database.link()
    run(link, "CREATE TABLE t (id int, a text); INSERT INTO t VALUES (1, 'a1')")
    number = migrate(link, "ALTER TABLE t DROP COLUMN a")
    before = schema_of(database.url)
    run(reader, "SET application_name = 'report'; BEGIN; SELECT id FROM t")

    with pytest.raises(Locked) as raised:
        back.undo(link, [one for one in journal.migrations(link) if one.id == number], patience_s=0.3)
    (holder,) = raised.value.holders
    assert (holder.table, holder.query) == ("t", "SELECT id FROM t")
    assert "report" in holder.who
    assert schema_of(database.url) == before

    run(reader, "COMMIT")
    undo(link, number)
    assert seen(link, "SELECT id, a FROM t") == "1 a1"


@pytest.mark.parametrize(
    "up", ["CREATE TABLE made (t int REFERENCES t)", "DROP TABLE o", "ALTER TABLE o ADD t int REFERENCES t"]
)
def test_a_table_at_the_other_end_of_a_foreign_key_is_asked_for_with_the_others(
    database: Database, up: str
) -> None:
    """Not in the middle of the work, which would be done again and again while others wait."""
    link, client = database.link(), database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE o (id int REFERENCES t)")
    number = migrate(link, up)
    for way, state in ((back.undo, "applied"), (back.redo, "undone")):
        run(client, "BEGIN; SELECT FROM t")
        with pytest.raises(Locked) as raised:
            way(link, [one for one in journal.migrations(link) if one.id == number], patience_s=0)
        assert [one.table for one in raised.value.holders] == ["t"], state
        assert journal.migrations(link)[0].state == state
        run(client, "COMMIT")
        (undo if state == "applied" else redo)(link, number)


@pytest.mark.parametrize(
    ("up", "first", "then"),
    [
        ("DROP TABLE o", "t", "INSERT INTO o VALUES (1, 1)"),
        ("ALTER TABLE o DROP COLUMN t", "t", "DELETE FROM o"),
        ("ALTER TABLE t ALTER COLUMN id TYPE bigint", "o", "UPDATE t SET a = 'x'"),
    ],
)
def test_a_client_at_work_in_two_tables_is_no_victim_of_a_deadlock_with_a_migration(
    database: Database, up: str, first: str, then: str
) -> None:
    link, client, other = database.link(), database.link(), database.link()
    run(
        link,
        "CREATE TABLE t (id int PRIMARY KEY, a text); CREATE TABLE o (id int, t int REFERENCES t); INSERT INTO t VALUES (1)",
    )
    at_it = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND (wait_event_type = 'Lock' OR query LIKE '%_bo_beforehand')"
    run(client, f"BEGIN; SELECT id FROM {first}")
    with in_background(lambda: migrate(link, up)) as failed:
        until(lambda: other.rows(at_it)[0]["n"] != "0")
        run(client, f"{then}; COMMIT")
    assert failed == []


class _Writer(threading.Thread):
    """Inserts, updates and deletes through columns that no migration touches, and notes how long it takes."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__()
        self.url, self.number, self.slowest_s, self.written = url, number, 0.0, 0
        self.errors: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
            while not self.ended.is_set():
                key = self.number * 1_000_000 + self.written
                begun_s = time.monotonic()
                try:
                    connection.execute("INSERT INTO t (id, a) VALUES (%s, 'new')", (key,))
                    connection.execute("UPDATE t SET a = 'changed' WHERE id = %s", (key,))
                except psycopg.Error as error:
                    self.errors.append(str(error))
                self.written += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - begun_s)


def test_steady_writers_see_no_error_and_wait_less_than_a_second(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1); CREATE TABLE t (id int PRIMARY KEY, a text, b text NOT NULL DEFAULT 'd', "
        "c int REFERENCES p, d int NOT NULL DEFAULT 1); CREATE INDEX ON t (b); INSERT INTO t SELECT i FROM generate_series(1, 20000) i")  # fmt: skip
    before = schema_of(database.url)
    number = migrate(link, "ALTER TABLE t DROP b, DROP c, DROP d; ALTER TABLE t ADD n int CHECK (n > 0)")
    after = schema_of(database.url)
    writers = [_Writer(database.url, one) for one in (1, 2, 3)]
    for one in writers:
        one.start()
    try:
        for _ in range(3):
            enough = [one.written + 20 for one in writers]
            until(lambda enough=enough: all(w.written > n for w, n in zip(writers, enough, strict=True)))
            undo(link, number)
            assert schema_of(database.url) == before
            redo(link, number)
            assert schema_of(database.url) == after
        undo(link, number)
    finally:
        for one in writers:
            one.ended.set()
        for one in writers:
            one.join()
    assert [one.errors for one in writers] == [[], [], []]
    assert max(one.slowest_s for one in writers) < 1
    written = sum(one.written for one in writers)
    assert seen(link, "SELECT count(*) AS n, count(b) AS b, count(d) AS d FROM t") == " ".join(
        [str(20000 + written)] * 3
    )
    assert seen(link, "SELECT DISTINCT b, d, a FROM t WHERE id > 20000") == "d 1 changed"
