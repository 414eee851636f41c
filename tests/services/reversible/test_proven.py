"""A way back, and forward, says whether the schema is then the one that it had to lead to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.command_line import Done

from .conftest import Database
from .engine import run
from .test_settings import psql

pytestmark = pytest.mark.slow
Typed = Callable[..., Done]


def test_there_and_back_over_several_is_proven(database: Database, typed: Typed) -> None:
    run(database.link(), "CREATE TABLE t (a int, b text)")
    for statement in ("ALTER TABLE t DROP b", "ALTER TABLE t ADD c int UNIQUE", "CREATE TABLE u (x int)"):
        typed("migrate", *psql(statement)).ended(0)
    back = typed("db", "rollback", "--steps", "3", "--yes").ended(0)
    assert "schema: the same as before it, by its fingerprint" in back.out
    ahead = typed("db", "redo", "--steps", "3", "--yes").ended(0)
    assert "schema: the same as after it, by its fingerprint" in ahead.out
    assert typed("db", "rollback", "--yes", "--json").ended(0).json["schema_same"] is True
    assert typed("db", "redo", "--yes", "--dry-run", "--json").ended(0).json["schema_same"] is None


@pytest.mark.parametrize("between", ["since", "between"])
def test_what_somebody_else_changed_too_is_not_compared(
    database: Database, typed: Typed, between: str
) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (a int)")
    typed("migrate", *psql("ALTER TABLE t ADD b int")).ended(0)
    if between == "between":
        run(link, "CREATE TABLE by_hand (a int)")
        typed("migrate", *psql("ALTER TABLE t ADD c int")).ended(0)
    else:
        run(link, "CREATE TABLE by_hand (a int)")
    steps = {"since": 1, "between": 2}[between]
    done = typed("db", "rollback", "--steps", steps, "--yes").ended(0)
    assert "schema: not compared with the one before it" in done.out


def test_what_is_declared_to_stay_is_not_held_against_it(database: Database, typed: Typed) -> None:
    run(database.link(), "CREATE TYPE mood AS ENUM ('sad')")
    typed("migrate", *psql("ALTER TYPE mood ADD VALUE 'ok'")).ended(0)
    done = typed("db", "rollback", "--yes").ended(0)
    assert "keeps its label ok" in done.out and "not compared" in done.out


def test_what_stays_of_a_later_one_is_not_held_against_an_earlier_one(
    database: Database, typed: Typed
) -> None:
    typed("migrate", *psql("CREATE TYPE mood AS ENUM ('sad')")).ended(0)
    typed("migrate", *psql("ALTER TYPE mood ADD VALUE 'ok'")).ended(0)
    typed("db", "rollback", "--steps", "2", "--yes").ended(0)
    assert "not compared" in typed("db", "redo", "--yes").ended(0).out
    assert "not compared" in typed("db", "redo", "--yes").ended(0).out


def test_another_schema_than_the_one_before_fails(database: Database, typed: Typed) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (a int)")
    typed("migrate", *psql("ALTER TABLE t ADD b int")).ended(0)
    link.rows("UPDATE backout.migration SET schema_before = 'another'")
    done = typed("db", "rollback", "--yes").ended(6)
    assert "not proven  The schema is another than the one before it" in done.err
    assert "next   backout db status" in done.err
