"""Finalizing: what was hidden is gone, what is visible stays, and nothing that is still hidden is harmed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.command_line import Done

from backout.app.migrations import Migrations
from backout.databases.postgres.reversible.fingerprint import differences, read_print
from backout.databases.postgres.reversible.link import DirectLink, LinkError, objects
from backout.errors import NotPossible, Refused, UsageError

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import schema_of

pytestmark = pytest.mark.slow

BEFORE = """
CREATE TABLE p (id int PRIMARY KEY);
CREATE TYPE mood AS ENUM ('ok', 'bad');
CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text NOT NULL DEFAULT 'x', b int REFERENCES p,
  m mood, n bigserial, UNIQUE (a, b), UNIQUE (b, m));
CREATE INDEX t_a ON t (a);
CREATE TABLE old (x serial PRIMARY KEY, y text, t int REFERENCES t);
CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf();
INSERT INTO p VALUES (1), (2);
INSERT INTO t (a, b, m) VALUES ('one', 1, 'ok'), ('two', 2, 'bad');
INSERT INTO old (y) SELECT repeat('y', 1000) FROM generate_series(1, 100);
"""
DROPS = """
ALTER TABLE t DROP COLUMN a;
ALTER TABLE t DROP COLUMN n;
DROP TABLE old;
ALTER TABLE t DROP COLUMN m;
DROP TYPE mood;
DROP TRIGGER tr ON t;
DROP FUNCTION tf;
ALTER TABLE t ADD COLUMN c text NOT NULL DEFAULT 'c';
"""
_OURS = """
SELECT attname::text AS name FROM pg_attribute WHERE starts_with(attname, '_bo_') AND NOT attisdropped
UNION ALL SELECT relname FROM pg_class WHERE starts_with(relname, '_bo_')
UNION ALL SELECT conname FROM pg_constraint WHERE starts_with(conname, '_bo_')
UNION ALL SELECT tgname FROM pg_trigger WHERE starts_with(tgname, '_bo_')
UNION ALL SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE starts_with(proname, '_bo_') AND nspname = 'backout_hidden'
UNION ALL SELECT typname FROM pg_type WHERE starts_with(typname, '_bo_')
UNION ALL SELECT nspname FROM pg_namespace WHERE nspname ~ '^backout_[0-9]+$'"""


def ours(link: DirectLink) -> list[str]:
    return [one["name"] for one in objects(link, _OURS)]


def states(link: DirectLink) -> list[str]:
    return [one["state"] for one in objects(link, "SELECT state FROM backout.migration ORDER BY id")]


def printed(link: DirectLink):
    link.rows("BEGIN ISOLATION LEVEL REPEATABLE READ")
    found = read_print(link)
    link.rows("ROLLBACK")
    return found


def test_all_that_was_hidden_is_dropped_and_the_visible_schema_stays(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    number = migrate(link, DROPS)
    run(link, "INSERT INTO t (b) VALUES (1)")
    before, rows = printed(link), link.rows("SELECT id, b, c FROM t ORDER BY id")
    assert ours(link)

    done = Migrations(database.url).finalize(now=True)

    assert done.migrations == (number,)
    assert {(one.kind, one.called) for one in done.dropped} == {
        ("column", "public.t.a"), ("column", "public.t.n"), ("column", "public.t.m"),
        ("table", "public.old"), ("type", "public.mood"), ("trigger", "public.t.tr"), ("function", "public.tf"),
    }  # fmt: skip
    table = next(one for one in done.dropped if one.kind == "table")
    assert table.size_bytes > 100_000
    assert done.freed_bytes >= table.size_bytes
    assert ours(link) == []
    assert differences(before, printed(link)) == []
    assert link.rows("SELECT id, b, c FROM t ORDER BY id") == rows
    # By position again: no guard is left, and no column is between.
    run(link, "INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (9, 2, 'z')")
    assert states(link) == ["finalized"]
    assert Migrations(database.url).finalize(now=True).migrations == ()


def test_a_dry_run_tells_the_statements_and_changes_nothing(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    number = migrate(link, DROPS)
    names = ours(link)
    done = Migrations(database.url).finalize(now=True, dry_run=True)
    assert [one for one in done.statements if one.startswith("DROP TABLE")]
    assert ours(link) == names
    assert states(link) == ["applied"]
    undo(link, number)
    assert link.rows("SELECT count(*) AS n FROM old") == [{"n": "100"}]


def test_what_was_finalized_is_named_when_it_is_to_be_taken_back(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    first = migrate(link, "ALTER TABLE t DROP COLUMN a", release="2.0.0")
    second = migrate(link, "ALTER TABLE t DROP COLUMN m", release="2.1.0")
    migrations = Migrations(database.url)
    assert migrations.finalize(steps=1, now=True).migrations == (first,)
    # All after the finalized release can be taken back; the finalized one itself cannot.
    assert migrations.rollback(to="2.0.0", dry_run=True).migrations == (second,)
    with pytest.raises(Refused) as refused:
        migrations.rollback(steps=2)
    assert f"Migration {first} (2.0.0) was finalized" in str(refused.value)
    assert migrations.rollback().migrations == (second,)
    with pytest.raises(Refused):
        migrations.rollback()
    assert link.rows("SELECT b, m FROM t ORDER BY id") == [{"b": "1", "m": "ok"}, {"b": "2", "m": "bad"}]


def test_inside_its_window_a_migration_is_kept(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    first = migrate(link, "ALTER TABLE t DROP COLUMN a", release="2.0.0")
    migrate(link, "ALTER TABLE t DROP COLUMN m", release="2.1.0")
    migrations = Migrations(database.url)
    with pytest.raises(Refused, match=r"Migration 1 \(2.0.0\) is applied for 0.0 h, and is kept for 72 h"):
        migrations.finalize()
    run(link, f"UPDATE backout.migration SET state_at = state_at - interval '73 h' WHERE id = {first}")
    with pytest.raises(Refused, match=r"Migration 2 \(2.1.0\)"):
        migrations.finalize(to="2.1.0")
    assert migrations.finalize().migrations == (first,)
    with pytest.raises(UsageError, match=r"9\.9\.9"):
        migrations.finalize(to="9.9.9")


def test_the_window_begins_anew_when_a_migration_is_made_again(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    number = migrate(link, "ALTER TABLE t DROP COLUMN a")
    undo(link, number)
    run(link, "UPDATE backout.migration SET state_at = state_at - interval '73 h'")
    redo(link, number)
    with pytest.raises(Refused, match="is kept for 72 h"):
        Migrations(database.url).finalize()


def test_an_index_that_two_migrations_hid_does_not_keep_the_later_one_from_going_back(
    database: Database,
) -> None:
    link = database.link()
    run(link, BEFORE)
    first = migrate(link, "DROP INDEX t_a", "ALTER TABLE t DROP COLUMN b")
    second = migrate(link, "ALTER TABLE t DROP COLUMN a", "ALTER TABLE t DROP COLUMN m")
    migrations = Migrations(database.url)
    assert migrations.finalize(steps=1, now=True).migrations == (first,)
    undo(link, second)
    assert link.rows("SELECT a, m FROM t ORDER BY id") == [{"a": "one", "m": "ok"}, {"a": "two", "m": "bad"}]
    assert ours(link) == []


def test_what_was_taken_back_is_dropped_only_when_it_is_asked_for(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    before = printed(link)
    number = migrate(
        link,
        "CREATE SCHEMA s; CREATE TYPE s.kind AS ENUM ('k'); CREATE TABLE s.made (id serial PRIMARY KEY, k s.kind);"
        "ALTER TABLE t ADD COLUMN k s.kind; CREATE INDEX t_b ON t (b); CREATE UNIQUE INDEX t_k ON t (k)",
    )
    undo(link, number)
    migrations = Migrations(database.url)
    names = ours(link)
    assert names
    assert migrations.finalize(now=True).migrations == ()
    assert ours(link) == names
    assert migrations.finalize(now=True, undone=True).migrations == (number,)
    assert ours(link) == []
    assert differences(before, printed(link)) == []
    assert states(link) == ["discarded"]
    with pytest.raises(UsageError):
        migrations.redo()
    with pytest.raises(UsageError):
        migrations.rollback()


def test_rows_that_a_migration_has_changed_are_forgotten(database: Database) -> None:
    """Hidden values are personal data as before; so are the rows in the journal."""
    link = database.link()
    run(link, BEFORE)
    first = migrate(link, "UPDATE t SET a = 'first'")
    migrate(link, "UPDATE t SET a = 'second'")
    migrations = Migrations(database.url)
    assert migrations.finalize(steps=1, now=True).rows == 2
    assert link.rows("SELECT DISTINCT old LIKE '%first%' AS mine FROM backout.row_log") == [{"mine": "t"}]
    assert migrations.rollback().rows is not None
    assert link.rows("SELECT DISTINCT a FROM t") == [{"a": "first"}]
    done = migrations.finalize(now=True, undone=True)
    assert (done.rows, first) == (2, 1)
    assert done.freed_bytes > 0
    for table in ("row_log", "row_shape", "row_turn", "row_kept", "row_truncated"):
        assert link.rows(f"SELECT count(*) AS n FROM backout.{table}") == [{"n": "0"}]


def test_what_something_else_needs_is_not_dropped(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    migrate(link, DROPS)
    run(link, "CREATE VIEW v AS SELECT * FROM t")
    with pytest.raises(Refused, match="view v depends on column _bo_"):
        Migrations(database.url).finalize(now=True)
    assert states(link) == ["applied"]
    with pytest.raises(LinkError):
        link.rows("SELECT a FROM t")


def test_tables_in_use_are_not_waited_for_longer_than_was_said(database: Database) -> None:
    link, other = database.link(), database.link()
    run(link, BEFORE)
    migrate(link, DROPS)
    other.rows("BEGIN")
    other.rows("SELECT b FROM t")
    with pytest.raises(NotPossible, match="SELECT b FROM t"):
        Migrations(database.url).finalize(now=True, patience_s=0.1)
    other.rows("COMMIT")
    assert Migrations(database.url).finalize(now=True).dropped


def test_after_a_dump_and_restore_hidden_things_are_found_by_name(database: Database) -> None:
    """Identities are others then."""
    link = database.link()
    run(link, BEFORE)
    migrate(link, DROPS)
    run(
        link,
        "UPDATE backout.change SET operation = replace(replace(operation::text, '\"table\": ', '\"table\": 9'), '\"oid\": ', '\"oid\": 9')::json",
    )
    assert len(Migrations(database.url).finalize(now=True).dropped) == 7
    assert ours(link) == []


def test_the_password_is_nowhere_in_what_is_told(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    migrate(link, DROPS)
    done = Migrations(database.url).finalize(now=True)
    secret = str(conninfo_to_dict(database.url).get("password") or "")
    assert secret and secret not in done.model_dump_json()


def test_what_tells_rows_written_since_goes_with_the_column(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int, n int DEFAULT 5)")
    migrate(link, "ALTER TABLE t DROP COLUMN n")
    assert ours(link) != []
    Migrations(database.url).finalize(now=True)
    assert ours(link) == []


def test_what_has_a_name_and_no_rows_is_told_and_dropped(
    database: Database, typed: Callable[..., Done]
) -> None:
    link = database.link()
    plain = schema_of(database.url)
    up = "CREATE COLLATION co (locale = 'C'); CREATE TEXT SEARCH CONFIGURATION c (COPY = simple); CREATE TABLE t (a text COLLATE co)"
    undo(link, migrate(link, up))
    told = typed("db", "status").ended(0).everything
    assert "collation public.co of migration 1" in told
    assert "text search configuration backout_hidden." in typed("db", "uninstall", "--yes").everything
    typed("db", "finalize", "--undone", "--now", "--yes").ended(0)
    assert link.rows("SELECT FROM pg_collation WHERE collname ~ '^_bo_'") == []
    typed("db", "uninstall", "--yes").ended(0)
    assert schema_of(database.url) == plain
