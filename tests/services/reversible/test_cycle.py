"""One migration of many kinds: taken back and made again, with rows written in between; nothing is lost."""

from __future__ import annotations

import pytest

from .conftest import Database
from .engine import migrate, redo, run, undo

pytestmark = pytest.mark.slow

BEFORE = """
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text NOT NULL DEFAULT 'x', b int REFERENCES p,
  c numeric(6,2) CHECK (c > 0));
CREATE INDEX t_b ON t (b);
CREATE TABLE old (x int PRIMARY KEY, y text);
INSERT INTO p VALUES (1), (2);
INSERT INTO t (a, b, c) VALUES ('one', 1, 1.5), ('two', 2, 2.5);
INSERT INTO old VALUES (1, 'y1');
"""
UP = """
ALTER TABLE t DROP COLUMN b;
ALTER TABLE t ADD COLUMN d text;
DROP TABLE old;
CREATE TYPE mood AS ENUM ('ok', 'bad');
CREATE TABLE made (id serial PRIMARY KEY, m mood, t int REFERENCES t);
ALTER TABLE t RENAME COLUMN a TO aa;
ALTER TABLE t ALTER COLUMN c SET DEFAULT 3;
COMMENT ON TABLE t IS 'hello';
CREATE INDEX t_c ON t (c);
"""


def test_nothing_is_lost_on_the_way_back_and_forward_again(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    number = migrate(link, UP)
    run(
        link,
        "INSERT INTO t (aa, d) VALUES ('three', 'new'); UPDATE t SET aa = 'ONE' WHERE id = 1; INSERT INTO made (m, t) VALUES ('ok', 1)",
    )

    undo(link, number)
    assert link.rows("SELECT id, a, b, c FROM t ORDER BY id") == [
        {"id": "1", "a": "ONE", "b": "1", "c": "1.50"},
        {"id": "2", "a": "two", "b": "2", "c": "2.50"},
        {"id": "3", "a": "three", "b": None, "c": "3.00"},
    ]
    assert link.rows("SELECT * FROM old") == [{"x": "1", "y": "y1"}]
    run(
        link,
        "INSERT INTO t (a, b, c) VALUES ('four', 2, 4); DELETE FROM t WHERE id = 2; UPDATE old SET y = 'y2'",
    )

    redo(link, number)
    assert link.rows("SELECT id, aa, c, d FROM t ORDER BY id") == [
        {"id": "1", "aa": "ONE", "c": "1.50", "d": None},
        {"id": "3", "aa": "three", "c": "3.00", "d": "new"},
        {"id": "4", "aa": "four", "c": "4.00", "d": None},
    ]
    assert link.rows("SELECT m, t FROM made") == [{"m": "ok", "t": "1"}]

    undo(link, number)
    assert link.rows("SELECT id, b FROM t ORDER BY id") == [
        {"id": "1", "b": "1"},
        {"id": "3", "b": None},
        {"id": "4", "b": "2"},
    ]
    assert link.rows("SELECT y FROM old") == [{"y": "y2"}]


def test_a_table_is_taken_back_after_a_later_column_of_it(database: Database) -> None:
    link = database.link()
    table = migrate(link, "CREATE TABLE made (id int PRIMARY KEY)")
    column = migrate(link, "ALTER TABLE made ADD COLUMN country text DEFAULT 'de'")
    run(link, "INSERT INTO made VALUES (1, 'tr')")
    for _ in range(2):
        undo(link, column)
        undo(link, table)
        redo(link, table)
        redo(link, column)
    run(link, "INSERT INTO made VALUES (2)")
    assert link.rows("SELECT * FROM made ORDER BY id") == [
        {"id": "1", "country": "tr"},
        {"id": "2", "country": "de"},
    ]


def test_a_foreign_key_is_taken_back_after_a_later_migration_that_dropped_it(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE p (id int PRIMARY KEY)")
    made = migrate(
        link,
        "CREATE TABLE a (id int PRIMARY KEY, p int)",
        "ALTER TABLE a ADD CONSTRAINT a_p FOREIGN KEY (p) REFERENCES p",
    )
    renamed = migrate(
        link,
        "ALTER TABLE a RENAME TO b",
        "ALTER TABLE b DROP CONSTRAINT a_p",
        "ALTER TABLE b ADD CONSTRAINT b_p FOREIGN KEY (p) REFERENCES p",
    )
    for _ in range(2):
        undo(link, renamed)
        undo(link, made)
        redo(link, made)
        redo(link, renamed)
    assert [
        one["conname"]
        for one in link.rows(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'b'::regclass AND contype = 'f'"
        )
    ] == ["b_p"]
