"""What would hold the locks of a way back for longer than the lock budget is done before; where that cannot be, it is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import Done
from tests.waiting import until

from backout.app.migrations import Migrations
from backout.databases.postgres.reversible.alone import runs

from .conftest import Database
from .engine import migrate, run, undo
from .states import seen
from .test_settings import configured

pytestmark = pytest.mark.slow

ROWS = 300
"""More than fit into a millisecond."""
TRIGGER = (
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
    "CREATE TRIGGER a BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()"
)
BEFORE_THEM = {"BACKOUT_FAULT": "db.ahead.batch"}
SAID = f"{ROWS} row(s) are written for public.t.c while tables are locked, for about 2 ms, and the lock budget is 1 ms: "


def retyped(database: Database, more: str = "") -> int:
    link = database.link()
    run(link, f"CREATE TABLE t (id int PRIMARY KEY, c int); {more}")
    number = migrate(link, "ALTER TABLE t ALTER c TYPE bigint")
    run(link, f"INSERT INTO t (id, c) SELECT n, n FROM generate_series(1, {ROWS}) n")
    return number


def test_what_takes_longer_is_done_before(
    database: Database, typed: Callable[..., Done], tmp_path: Path
) -> None:
    retyped(database)
    (tmp_path / "backout.yaml").write_text("migrations: [")
    told = typed("db", "rollback", "--dry-run").ended(0)
    assert "warning  " in told.err and "The lock budget is 100 ms." in told.err
    configured(tmp_path, "lock_budget_ms: 1")
    typed("db", "rollback", "--yes", **BEFORE_THEM).ended(-9)
    until(lambda: runs(database.link()) is None)
    assert seen(database.link(), "SELECT count(*) FROM t WHERE c = id") == str(ROWS)
    run(database.link(), "UPDATE t SET c = -c")
    typed("db", "rollback", "--yes", "--lock-budget", 100, **BEFORE_THEM).ended(0)
    assert seen(database.link(), "SELECT count(*) FROM t WHERE c = -id") == str(ROWS)
    assert "greater than or equal to 1" in typed("db", "rollback", "--lock-budget", 0).ended(2).err


def test_what_cannot_be_done_before_is_said(database: Database, typed: Callable[..., Done]) -> None:
    retyped(database, TRIGGER)
    why = f"{SAID}a trigger or rule of yours would fire"
    assert why in typed("db", "status", "--lock-budget", 1).ended(0).out
    assert f"warning  {why}" in typed("db", "rollback", "--dry-run", "--lock-budget", 1).ended(0).err
    migrations = Migrations(database.url)
    assert migrations.status().over_budget == ()
    assert migrations.rollback(dry_run=True).over_budget == ()
    typed("db", "rollback", "--yes", "--lock-budget", 1, **BEFORE_THEM).ended(0)


def test_the_way_forward_says_it_too(database: Database, typed: Callable[..., Done]) -> None:
    link, number = database.link(), retyped(database)
    undo(link, number)
    run(link, "UPDATE t SET c = c + 1")
    why = f"{SAID}there is no way to do this before"
    assert Migrations(database.url, lock_budget_ms=1).redo(dry_run=True).over_budget == (why,)
    assert Migrations(database.url).redo(dry_run=True).over_budget == ()
    assert "made again" in typed("db", "redo", "--yes", "--lock-budget", 1).ended(0).out
    assert seen(link, "SELECT count(*) FROM t WHERE c = id + 1") == str(ROWS)
