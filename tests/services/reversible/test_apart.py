"""A column or table that an earlier migration had made of a dropped one: what was written since is not lost, and it is told where it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.command_line import Done

from backout.databases.postgres.reversible.link import DirectLink

from .conftest import Database
from .engine import migrate, redo, run, undo

pytestmark = pytest.mark.slow

BEFORE = """
CREATE TABLE t (id int PRIMARY KEY, first text, last text, note text);
CREATE TABLE old (id int PRIMARY KEY, told text);
INSERT INTO t VALUES (1, 'Ann', 'Lee', 'n'), (2, 'Bob', 'Ray', 'n');
INSERT INTO old VALUES (1, 'one');
"""
JOINED = "ALTER TABLE t ADD COLUMN name text; UPDATE t SET name = first || ' ' || last"
TOLD = "public.t.last is as it was dropped: what was written to public.t.name since is hidden with that"


@pytest.fixture
def link(database: Database) -> DirectLink:
    made = database.link()
    run(made, BEFORE)
    return made


def test_a_column_that_was_joined_of_others_one_migration_earlier(link: DirectLink) -> None:
    one = migrate(link, JOINED)
    other = migrate(link, "ALTER TABLE t DROP last")
    run(link, "UPDATE t SET name = 'Ann Smith' WHERE id = 1; INSERT INTO t (id, name) VALUES (3, 'Cy Doe')")

    assert undo(link, one, other).residues == [TOLD]
    assert link.rows("SELECT last FROM t ORDER BY id") == [{"last": "Lee"}, {"last": "Ray"}, {"last": None}]

    assert redo(link, one).residues == redo(link, other).residues == []
    names = [row["name"] for row in link.rows("SELECT name FROM t ORDER BY id")]
    assert names == ["Ann Smith", "Bob Ray", "Cy Doe"], "what was written since is there again"
    assert undo(link, other).residues == [], "the joined one stays"


def test_a_table_that_was_made_of_another_one_migration_earlier(link: DirectLink) -> None:
    one = migrate(link, "CREATE TABLE new AS SELECT * FROM old")
    other = migrate(link, "DROP TABLE old")
    run(link, "INSERT INTO new VALUES (2, 'two')")
    told = "public.old is as it was dropped: what was written to public.new since is hidden with that"
    assert undo(link, one, other).residues == [told]
    redo(link, one)
    redo(link, other)
    assert len(link.rows("SELECT * FROM new")) == 2


@pytest.mark.parametrize(
    "up",
    [
        "ALTER TABLE t ADD COLUMN name text",  # nothing was put into it
        "UPDATE t SET note = 'new'",  # nothing was made
        "ALTER TABLE old ADD COLUMN name text; UPDATE old SET name = told",  # of another table
        "CREATE TABLE new (id int)",
    ],
)
def test_what_has_nothing_to_do_with_it_is_not_named(link: DirectLink, up: str) -> None:
    one, other = migrate(link, up), migrate(link, "ALTER TABLE t DROP last; DROP TABLE IF EXISTS nowhere")
    assert undo(link, one, other).residues == []


def test_it_is_told_before_and_after(link: DirectLink, typed: Callable[..., Done]) -> None:
    migrate(link, JOINED)
    migrate(link, "ALTER TABLE t DROP last")
    before = typed("db", "status", "--steps", "2").ended(0).out
    assert "possible now: yes" in before
    assert "public.t.last comes back as it was dropped: what was written to public.t.name since" in before
    assert "comes back as it was dropped" not in typed("db", "status").ended(0).out
    assert TOLD in typed("db", "rollback", "--steps", "2", "--yes").ended(0).out
