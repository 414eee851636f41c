"""Status: the answer is what a rollback would find, it ends in time, and nobody is kept waiting by it."""

from __future__ import annotations

import time

import pytest

from backout.app.migrations import Migrations
from backout.databases.postgres.reversible.link import objects
from backout.databases.postgres.reversible.status import read_status
from backout.errors import CredentialsRefused, Refused
from backout.migration_status import MigrationStatus

from .conftest import Database
from .engine import migrate, run, undo
from .test_finalize import BEFORE, DROPS, printed

pytestmark = pytest.mark.slow


W = "ALTER TABLE t ADD COLUMN w text NOT NULL DEFAULT 'w'"


def status(database: Database, steps: int = 1) -> MigrationStatus:
    return Migrations(database.url).status(steps=steps)


def test_without_a_journal_there_is_nothing(database: Database) -> None:
    found = status(database)
    assert (found.possible, found.migrations, found.hidden) == ("no", (), ())


def test_rows_written_since_are_counted_and_a_rollback_does_what_was_said(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    run(link, W)
    number = migrate(
        link,
        "ALTER TABLE t DROP COLUMN w; DROP TABLE old; ALTER TABLE t DROP COLUMN m; DROP TYPE mood",
        release="2.1.0",
    )
    run(link, "INSERT INTO t (a, b) SELECT 'a' || g, 1 FROM generate_series(1, 7) g")
    before = printed(link)
    found = status(database)
    assert (found.possible, found.why) == ("yes", ())
    assert [(one.id, one.release, one.state) for one in found.migrations] == [(number, "2.1.0", "applied")]
    assert found.migrations[0].age_s < 60
    filled = {one.what: (one.rows, one.value) for one in found.rows if one.kind == "filled"}
    assert filled == {"public.t.w": (7, "'w'::text")}
    assert {one.called for one in found.hidden} >= {"public.old", "public.mood", "public.t.w"}
    assert found.hidden_bytes is not None and found.hidden_bytes > 100_000
    assert (found.due, found.running) == ((), None)
    assert printed(link) == before
    undo(link, number)
    assert link.rows("SELECT count(*) AS n FROM t WHERE w = 'w' AND id > 2") == [{"n": "7"}]


def test_the_counting_uses_the_index_of_rows_written_since(database: Database) -> None:
    link = database.link()
    run(link, f"{BEFORE}{W}")
    migrate(link, "ALTER TABLE t DROP COLUMN w")
    run(link, "INSERT INTO t (b) VALUES (1)")
    mark = objects(
        link,
        "SELECT operation -> 'hidden' ->> 'mark' AS mark, operation -> 'hidden' ->> 'hidden' AS name FROM backout.change",
    )[0]
    link.rows("SET enable_seqscan = off")
    plan = link.rows(f"EXPLAIN SELECT count(*) FROM t WHERE {mark['name']} = {mark['mark']}")
    assert any(f"{mark['name']}_w" in (row["QUERY PLAN"] or "") for row in plan)


def test_an_old_session_on_a_table_makes_it_unknown_and_is_named(database: Database) -> None:
    link, other = database.link(), database.link()
    run(link, BEFORE)
    migrate(link, DROPS)
    other.rows("BEGIN")
    other.rows("SELECT b FROM t")
    found = status(database)
    assert [one.query for one in found.holders if one.table == "t"] == ["SELECT b FROM t"]
    assert found.possible == "yes"  # it may be gone before a rollback gives up
    old = read_status(link, "app", 1, patience_s=0)
    assert old.possible == "unknown"
    assert str(other.connection.info.backend_pid) in old.why[0]


def test_while_somebody_has_a_table_for_himself_it_still_ends_in_time(database: Database) -> None:
    link, other = database.link(), database.link()
    run(link, BEFORE)
    migrate(link, DROPS)
    other.rows("BEGIN")
    other.rows("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    begun_s = time.monotonic()
    found = status(database)
    assert time.monotonic() - begun_s < 5
    assert found.seconds < 3
    # Rows of a table that nobody can read now are unknown, never none.
    assert not any(one.rows == 0 for one in found.rows if one.what == "public.t.a")
    assert found.holders[0].table == "t"
    other.rows("ROLLBACK")
    assert status(database).possible == "yes"


def test_what_was_changed_behind_the_journal_makes_it_impossible(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    migrate(link, "ALTER TABLE t DROP COLUMN a", "ALTER TABLE p RENAME TO q", "DROP TABLE old")
    run(link, "ALTER TABLE q RENAME TO r; CREATE TABLE old (x int)")
    found = status(database)
    assert found.possible == "no"
    assert any("is called r now" in one for one in found.why)
    assert any("public.old cannot come back: another table has its name" in one for one in found.why)


def test_a_finalized_migration_makes_it_impossible(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    migrate(link, "ALTER TABLE t DROP COLUMN a")
    migrate(link, "ALTER TABLE t DROP COLUMN m")
    Migrations(database.url).finalize(steps=1, now=True)
    assert status(database).possible == "yes"
    found = status(database, steps=2)
    assert (found.possible, found.why) == (
        "no",
        ("Migration 1 was finalized: what it had hidden is dropped.",),
    )


def test_a_value_that_would_be_null_stops_it_or_leaves_it_unproven(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    run(link, W)
    migrate(link, "ALTER TABLE t\n-- backout: fill t.w = NULL::text\nDROP COLUMN w")
    assert status(database).possible == "yes"
    run(link, "INSERT INTO t (b) VALUES (1)")
    found = status(database)
    bad = [one for one in found.rows if one.kind == "null"]
    assert [(one.what, one.rows) for one in bad] == [("public.t.w", 1)]
    assert (found.possible, bad[0].stops) == ("no", True)
    with pytest.raises(Refused, match="violates not-null"):
        Migrations(database.url).rollback()


def test_values_that_may_collide_in_a_unique_index_make_it_unknown(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    migrate(link, "ALTER TABLE t DROP COLUMN a")
    assert status(database).possible == "yes"
    run(link, "INSERT INTO t (b) VALUES (1), (1)")
    found = status(database)
    assert found.possible == "unknown"
    assert "public.t.a" in found.why[0] and "unique index" in found.why[0]
    with pytest.raises(Refused, match="duplicate key"):
        Migrations(database.url).rollback()


def test_values_to_be_converted_are_counted_and_may_fail(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE r (id int PRIMARY KEY, a int NOT NULL, b int); INSERT INTO r VALUES (1, 1, 1)")
    number = migrate(link, "ALTER TABLE r ALTER COLUMN a TYPE bigint, ALTER COLUMN b TYPE bigint")
    assert status(database).possible == "yes"
    run(link, "INSERT INTO r (id, a, b) VALUES (2, 2, 2)")
    found = status(database)
    assert {(one.what, one.rows) for one in found.rows if one.rows is not None} == {
        ("public.r.a", 1),
        ("public.r.b", 1),
    }
    assert found.possible == "unknown"
    assert "public.r.a" in found.why[0] and "only trying tells" in found.why[0]
    undo(link, number)
    assert link.rows("SELECT a, b FROM r WHERE id = 2") == [{"a": "2", "b": "2"}]


@pytest.mark.parametrize("required", [False, True], ids=["may-be-null", "required"])
def test_values_that_the_earlier_type_cannot_hold_are_counted_and_stop_it_where_there_must_be_one(
    database: Database, required: bool
) -> None:
    link = database.link()
    run(link, f"CREATE TABLE v (id int PRIMARY KEY, c varchar(5) {'NOT NULL' if required else ''})")
    number = migrate(link, "ALTER TABLE v ALTER c TYPE text")
    run(link, "INSERT INTO v VALUES (1, 'short')")
    assert (status(database).possible, status(database).rows) == ("yes", ())
    run(link, "INSERT INTO v VALUES (2, 'too long'), (3, 'longer still')")
    found = status(database)
    (told,) = found.rows
    assert (told.kind, told.what, told.rows, told.stops) == ("unfit", "public.v.c", 2, required)
    assert found.possible == ("no" if required else "yes")
    if required:
        with pytest.raises(Refused, match="change them first"):
            Migrations(database.url).rollback()
    else:
        undo(link, number)
        assert link.rows("SELECT count(*) AS n FROM v WHERE c IS NULL") == [{"n": "2"}]


def test_orphans_are_counted_only_where_an_index_makes_it_cheap(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    run(link, "ALTER TABLE old DROP CONSTRAINT old_t_fkey; CREATE TABLE c (p int REFERENCES p)")
    migrate(link, "ALTER TABLE c DROP CONSTRAINT c_p_fkey", "ALTER TABLE t DROP CONSTRAINT t_b_fkey")
    run(link, "INSERT INTO c VALUES (77); INSERT INTO t (b) VALUES (77)")
    found = {one.what: one for one in status(database).rows}
    assert found["c_p_fkey"].rows is None and found["c_p_fkey"].why == "no index makes it cheap to count"
    assert found["t_b_fkey"].rows == 1
    assert status(database).possible == "yes"


def test_a_migration_that_runs_is_named(database: Database) -> None:
    from backout.databases.postgres.reversible.alone import alone

    link, other = database.link(), database.link()
    run(link, BEFORE)
    migrate(link, DROPS)
    alone(other)
    run(other, "INSERT INTO backout.migration (command, state) VALUES ('npx migrate', 'running')")
    found = status(database)
    assert found.running is not None
    assert (found.running.command, found.possible) == ("npx migrate", "no")
    assert str(found.running.pid) in found.why[0]


def test_a_migration_that_was_cut_short_is_not_nothing(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int)")
    number = migrate(link, "ALTER TABLE t ADD COLUMN n int")
    run(link, f"UPDATE backout.migration SET state = 'running' WHERE id = {number}")  # as a kill leaves it

    found = status(database)

    assert ([one.id for one in found.migrations], found.possible) == ([number], "no")
    assert found.why == (
        f"Migration {number} was cut short, and its end is not noted yet: backout db finish.",
    )
    Migrations(database.url).finish()
    assert status(database).possible == "yes"


def test_an_index_alone_is_looked_for_and_comes_back(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    number = migrate(link, "DROP INDEX t_a")
    assert status(database).possible == "yes"
    undo(link, number)
    redone = Migrations(database.url).redo()
    assert redone.migrations == (number,)
    run(
        link,
        "DROP INDEX "
        + objects(
            link,
            "SELECT indexrelid::regclass::text AS i FROM pg_index WHERE indexrelid::regclass::text ~ '_bo_'",
        )[0]["i"],
    )
    assert status(database).why == ("public.t.t_a is not hidden any more.",)


def test_what_is_due_is_told(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    migrate(link, "ALTER TABLE t DROP COLUMN a")
    name = objects(link, "SELECT operation -> 'hidden' ->> 'written' AS w FROM backout.change")[0]["w"]
    run(link, f"DROP INDEX {name}")
    assert [one for one in status(database).due if name in one]


def test_a_role_that_may_not_read_the_journal_is_told_so(database: Database, postgres) -> None:
    link = database.link()
    run(link, BEFORE)
    migrate(link, DROPS)
    name = database.url.rsplit("/", 1)[1]
    stranger = postgres.superuser_url.rsplit("/", 1)[0] + f"/{name}?options=-crole%3Dreader"
    with pytest.raises(CredentialsRefused, match="permission denied"):
        Migrations(stranger).status()
