"""Sequences count on whatever becomes of their names, and a hidden one is found by all that asks for what is hidden."""

from __future__ import annotations

import pytest

from backout.app.migrations import Migrations
from backout.databases.postgres.reversible.back import NotReversible

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import schema_of, seen

pytestmark = pytest.mark.slow


def test_no_number_is_given_twice_on_the_way_there_and_back(database: Database) -> None:
    link = database.link()
    number = migrate(link, "CREATE SEQUENCE q")
    assert seen(link, "SELECT nextval('q')") == "1"
    undo(link, number)
    redo(link, number)
    assert seen(link, "SELECT nextval('q')") == "2"
    dropped = migrate(link, "DROP SEQUENCE q")
    undo(link, dropped)
    assert seen(link, "SELECT nextval('q')") == "3"


def test_a_hidden_one_is_told_and_dropped_in_the_end(database: Database) -> None:
    link = database.link()
    run(link, "CREATE SEQUENCE q")
    migrate(link, "DROP SEQUENCE q")
    migrations = Migrations(database.url)
    assert [(one.kind, one.called) for one in migrations.status().hidden] == [("sequence", "public.q")]
    assert [(one.kind, one.called) for one in migrations.finalize(now=True).dropped] == [
        ("sequence", "public.q")
    ]
    migrations.uninstall()
    assert seen(link, "SELECT count(*) AS n FROM pg_class WHERE relkind = 'S'") == "0"


def test_one_whose_name_is_taken_by_now_does_not_come_back(database: Database) -> None:
    link = database.link()
    run(link, "CREATE SEQUENCE q")
    number = migrate(link, "DROP SEQUENCE q")
    run(link, "CREATE TABLE q (id int)")
    before = schema_of(database.url)
    with pytest.raises(NotReversible, match=r"public\.q cannot come back: another table has its name"):
        undo(link, number)
    assert schema_of(database.url) == before


def test_the_bounds_stay_where_its_numbers_are_beyond_the_earlier_ones(database: Database) -> None:
    link = database.link()
    run(link, "CREATE SEQUENCE s AS smallint MAXVALUE 100 START 99")
    number = migrate(link, "ALTER SEQUENCE s AS int MAXVALUE 100000 INCREMENT 10")
    run(link, "SELECT setval('s', 40000)")
    told = undo(link, number).residues
    assert told == ["sequence public.s keeps the bounds that it has: it is at 40000, and never goes back"]
    assert seen(link, "SELECT nextval('s')") == "40001"
    redo(link, number)
    assert seen(link, "SELECT nextval('s')") == "40011"
