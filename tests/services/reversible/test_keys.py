"""Dropped keys come back whole before earlier code starts, or not at all; and nothing that was built for it stays behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.command_line import Done

from backout.app.migrations import Migrations
from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.back import NotReversible
from backout.databases.postgres.reversible.link import LinkError
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.databases.postgres.reversible.status import read_status
from backout.errors import NotPossible

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import schema_of, seen

pytestmark = pytest.mark.slow

T = "CREATE TABLE t (id int PRIMARY KEY, a text CONSTRAINT uq UNIQUE, b text); INSERT INTO t VALUES (1, 'a1', 'b1'), (2, 'a2', 'b2')"
INDEXES = "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"


def test_values_that_are_there_twice_are_named_and_keep_the_way_back_closed(database: Database) -> None:
    link = database.link()
    run(link, T)
    number = migrate(link, "ALTER TABLE t DROP CONSTRAINT uq; ALTER TABLE t RENAME a TO c")
    run(link, "INSERT INTO t VALUES (3, 'a1', 'b3'), (4, NULL, 'b4'), (5, NULL, 'b5')")

    found = read_status(link, "app", 1)
    assert (found.possible, [(one.kind, one.rows) for one in found.rows]) == ("no", [("twice", 1)])
    with pytest.raises(
        NotReversible, match=r"1 value\(s\) are there more than once, which public\.t\.uq"
    ) as caught:
        undo(link, number)
    assert seen(link, str(caught.value).split("shown by: ")[1]) == "a1 2"
    assert seen(link, INDEXES) == "t_pkey"

    run(link, "UPDATE t SET c = 'a3' WHERE id = 3")
    assert read_status(link, "app", 1).possible == "yes"
    undo(link, number)
    run(link, "INSERT INTO t VALUES (6, 'a1', 'b6') ON CONFLICT (a) DO UPDATE SET b = 'B1'")
    assert seen(link, "SELECT id, b FROM t WHERE a = 'a1'") == "1 B1"


def test_of_an_index_over_expressions_they_are_found_as_well(database: Database) -> None:
    link = database.link()
    run(
        link,
        "CREATE TABLE t (id int, a text, b int); CREATE UNIQUE INDEX u ON t (lower(a), b) NULLS NOT DISTINCT WHERE id > 0",
    )
    number = migrate(link, "DROP INDEX u")
    run(link, "INSERT INTO t VALUES (1, 'X', NULL), (2, 'x', NULL), (-1, 'y', 1), (3, 'Y', 1)")
    with pytest.raises(NotReversible, match=r"1 value\(s\)") as caught:
        undo(link, number)
    assert seen(link, str(caught.value).split("shown by: ")[1]) == "x - 2"


def test_what_was_built_for_it_goes_where_the_way_back_is_not_taken(database: Database) -> None:
    link, other = database.link(), database.link()
    run(link, T)
    number = migrate(link, "ALTER TABLE t DROP CONSTRAINT uq")
    (chosen,) = [one for one in journal.migrations(link) if one.id == number]
    back.undo(link, [chosen], patience_s=5, dry_run=True)
    assert seen(link, INDEXES) == "t_pkey"
    run(link, "CREATE TABLE w (id int); INSERT INTO w VALUES (1)")
    second = migrate(link, "ALTER TABLE w ALTER id SET NOT NULL")
    run(other, ["BEGIN", "SELECT * FROM w"])
    with pytest.raises(NotPossible, match="in use"):
        Migrations(database.url).rollback(steps=2, patience_s=0.1)
    assert seen(link, INDEXES) == "t_pkey"
    run(other, "ROLLBACK")
    undo(link, number, second)
    assert seen(link, INDEXES) == "t_pkey | uq"


def test_what_a_killed_way_back_has_built_is_due_to_be_dropped(
    database: Database, typed: Callable[..., Done]
) -> None:
    link = database.link()
    run(link, T)
    number = migrate(link, "ALTER TABLE t DROP CONSTRAINT uq")
    typed("db", "rollback", "--yes", BACKOUT_FAULT="db.locked").ended(-9)
    with pytest.raises(LinkError, match="_bo_"):
        run(link, "INSERT INTO t VALUES (3, 'a1', 'b3')")
    assert "DROP INDEX CONCURRENTLY" in typed("db", "status").ended(0).out
    typed("db", "finish").ended(0)
    run(link, "INSERT INTO t VALUES (3, 'a1', 'b3'); DELETE FROM t WHERE id = 3")
    assert seen(link, INDEXES) == "t_pkey"
    typed("db", "rollback", "--yes").ended(0)
    assert seen(link, INDEXES) == "t_pkey | uq"
    assert seen(link, f"SELECT state FROM backout.migration WHERE id = {number}") == "undone"


def test_an_index_that_is_dropped_beside_others_work_is_hidden_and_comes_back(
    database: Database, typed: Callable[..., Done]
) -> None:
    link = database.link()
    run(link, f"{T}; CREATE INDEX i ON t (a); CREATE UNIQUE INDEX u ON t (a, b)")
    before = schema_of(database.url)
    for number, words in enumerate(("i", "IF EXISTS u", "IF EXISTS nowhere")):
        done = typed(
            "migrate", "--", "psql", "-qv", "ON_ERROR_STOP=1", "-c", f"DROP INDEX CONCURRENTLY {words}"
        )
        assert done.ended(0).err.count("dropped") == (number < 2)
    assert seen(link, INDEXES) == "_bo_1 | t_pkey | uq"
    run(link, "INSERT INTO t VALUES (3, 'a3', 'b3')")
    typed("db", "rollback", "--steps", "2", "--yes").ended(0)
    assert schema_of(database.url) == before
    typed("db", "redo", "--steps", "2", "--yes").ended(0)
    assert seen(link, INDEXES) == "_bo_1 | t_pkey | uq"


def test_a_primary_key_that_gives_way_to_another_comes_back_with_what_refers_to_it(
    database: Database,
) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, a text); INSERT INTO t (a) VALUES ('a1'), ('a2');"
        "CREATE TABLE c (t_id int NOT NULL REFERENCES t); INSERT INTO c VALUES (2)")  # fmt: skip
    before = schema_of(database.url)
    number = migrate(
        link,
        "ALTER TABLE t ADD COLUMN uid uuid NOT NULL DEFAULT gen_random_uuid();"
        "ALTER TABLE c DROP CONSTRAINT c_t_id_fkey; ALTER TABLE t DROP CONSTRAINT t_pkey;"
        "ALTER TABLE t DROP COLUMN id; ALTER TABLE t RENAME uid TO id; ALTER TABLE t ADD PRIMARY KEY (id)",
    )
    after = schema_of(database.url)
    run(link, "INSERT INTO t (a) VALUES ('a3'); DELETE FROM t WHERE a = 'a1'")
    for _ in range(2):
        undo(link, number)
        assert schema_of(database.url) == before
        assert (
            seen(link, "SELECT id, a, t_id FROM t LEFT JOIN c ON t_id = id ORDER BY id") == "2 a2 2 | 3 a3 -"
        )
        redo(link, number)
        assert schema_of(database.url) == after
        assert seen(link, "SELECT a, id IS NULL AS n FROM t ORDER BY a") == "a2 f | a3 f"


def test_a_key_whose_column_may_hold_null_by_now_waits_for_the_later_migration(database: Database) -> None:
    link = database.link()
    run(link, T)
    first = migrate(link, "ALTER TABLE t DROP CONSTRAINT t_pkey", release="2.0.0")
    second = migrate(
        link, "ALTER TABLE t\n-- backout: fill t.id = 9\nALTER id DROP NOT NULL", release="3.0.0"
    )
    with pytest.raises(NotReversible, match=r"t_pkey cannot be a key yet: id may still hold NULL"):
        undo(link, first, second)
    undo(link, second)
    undo(link, first)
    assert seen(link, INDEXES) == "t_pkey | uq"


@pytest.mark.parametrize(
    ("before", "up"),
    [
        ("ALTER TABLE t REPLICA IDENTITY USING INDEX t_pkey", "ALTER TABLE t DROP CONSTRAINT t_pkey"),
        ("ALTER TABLE t CLUSTER ON uq", "ALTER TABLE t DROP CONSTRAINT uq"),
        ("CREATE TABLE u () INHERITS (t)", "ALTER TABLE t DROP CONSTRAINT t_pkey, ALTER id DROP NOT NULL"),
    ],
)
def test_what_cannot_be_built_as_it_was_is_not_dropped(before: str, up: str, database: Database) -> None:
    link = database.link()
    run(link, T + ";" + before)
    there = schema_of(database.url)
    with pytest.raises(Veto):
        migrate(link, up)
    assert schema_of(database.url) == there


def test_a_key_dropped_by_hand_after_it_came_back_is_not_dropped_again(database: Database) -> None:
    link = database.link()
    run(link, T)
    number = migrate(link, "ALTER TABLE t DROP CONSTRAINT uq")
    undo(link, number)
    run(link, "ALTER TABLE t DROP CONSTRAINT uq")
    with pytest.raises(NotReversible, match="uq"):
        redo(link, number)


def test_rows_that_an_exclusion_constraint_does_not_allow_stop_the_way_back(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE ex (r int4range, CONSTRAINT no_two EXCLUDE USING gist (r WITH &&))")
    number = migrate(link, "ALTER TABLE ex DROP CONSTRAINT no_two")
    run(link, "INSERT INTO ex VALUES ('[1,3)'), ('[2,4)')")
    with pytest.raises(NotReversible, match="no_two"):
        undo(link, number)
    run(link, "DELETE FROM ex WHERE r = '[2,4)'")
    undo(link, number)
    with pytest.raises(LinkError, match="no_two"):
        run(link, "INSERT INTO ex VALUES ('[2,4)')")
