"""Leaving a database: nothing of ours is left, and nothing else is touched."""

from __future__ import annotations

import pytest

from backout.app.migrations import Migrations
from backout.databases.postgres.reversible.fingerprint import differences
from backout.databases.postgres.reversible.link import scalar
from backout.errors import CredentialsRefused, Refused

from .conftest import Database
from .engine import migrate, run, undo
from .test_finalize import BEFORE, DROPS, ours, printed

pytestmark = pytest.mark.slow


def test_nothing_is_left_and_the_visible_schema_stays(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    migrate(link, DROPS)
    # Left behind by something that was killed.
    run(link, "CREATE TRIGGER _bo_rows_9 AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION backout.log_row('9');"
        'CREATE TRIGGER "~_bo_8" BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION backout.log_row(9);'
        "CREATE INDEX _bo_7_w ON t ((1)) WHERE b IS NULL")  # fmt: skip
    before, rows = printed(link), link.rows("SELECT id, b, c FROM t ORDER BY id")
    migrations = Migrations(database.url)
    with pytest.raises(Refused, match=r"column public.t._bo_\d+") as refused:
        migrations.uninstall()
    assert refused.value.next_command.startswith("backout db finalize --now")
    migrations.finalize(now=True)

    assert migrations.uninstall().migrations == 1
    assert ours(link) == []
    assert scalar(link, "SELECT count(*) FROM pg_namespace WHERE starts_with(nspname, 'backout')") == "0"
    assert differences(before, printed(link)) == []
    assert link.rows("SELECT id, b, c FROM t ORDER BY id") == rows
    assert migrations.uninstall().statements == ()
    assert migrations.history().migrations == ()
    # And it can begin anew.
    number = migrate(link, "ALTER TABLE t DROP COLUMN b")
    undo(link, number)


def test_what_was_taken_back_keeps_it_from_leaving(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    number = migrate(link, "ALTER TABLE t ADD COLUMN d int; CREATE SCHEMA s; CREATE INDEX t_b ON t (b)")
    undo(link, number)
    with pytest.raises(Refused, match="schema backout_"):
        Migrations(database.url).uninstall()
    Migrations(database.url).finalize(now=True, undone=True)
    assert Migrations(database.url).uninstall().statements


def test_a_column_not_yet_not_null_is_made_so_before(database: Database) -> None:
    """What a way back owes is told by the journal alone."""
    link = database.link()
    run(link, BEFORE)
    migrate(link, "CREATE TABLE u (a int)")
    run(link, "ALTER TABLE t ADD CONSTRAINT _bo_5_nn CHECK (b IS NOT NULL) NOT VALID")
    assert Migrations(database.url).uninstall().statements
    assert (
        scalar(link, "SELECT attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'b'")
        == "t"
    )
    assert ours(link) == []


def test_what_somebody_has_built_on_the_journal_is_not_dropped(database: Database) -> None:
    link = database.link()
    run(link, BEFORE)
    migrate(link, "CREATE TABLE u (a int)")
    run(link, "CREATE VIEW releases AS SELECT * FROM backout.migration")
    with pytest.raises(Refused, match=r"would go with them: table public\.releases\."):
        Migrations(database.url).uninstall()
    assert link.rows("SELECT state FROM releases") == [{"state": "applied"}]


def test_another_role_than_the_owner_is_told_so(database: Database, postgres) -> None:
    link = database.link()
    run(link, BEFORE)
    migrate(link, "CREATE TABLE u (a int)")
    name = database.url.rsplit("/", 1)[1]
    stranger = postgres.superuser_url.rsplit("/", 1)[0] + f"/{name}?options=-crole%3Dreader"
    with pytest.raises(CredentialsRefused, match="permission denied") as refused:
        Migrations(stranger).uninstall()
    assert "as the role that owns" in refused.value.next_command
