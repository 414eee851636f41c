"""The verbs of `backout db` as they are typed: exit codes, sentences, JSON; and no secret in any of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.command_line import Done

from backout.embedded.server import EmbeddedPostgres

from .conftest import Database
from .engine import migrate, run, undo
from .test_blockers import behind
from .test_finalize import BEFORE, DROPS

pytestmark = pytest.mark.slow


@pytest.fixture
def db(typed: Callable[..., Done]) -> Callable[..., Done]:
    """Type a verb of `backout db`."""
    return lambda *words: typed("db", *words)


def test_the_life_of_a_migration(database: Database, db: Callable[..., Done]) -> None:
    link = database.link()
    run(link, BEFORE)
    assert "No migration was run through backout" in db("status").ended(0).out
    assert "Nothing is to be finalized" in db("finalize", "--yes").ended(0).out
    number = migrate(link, DROPS, release="2.1.0")

    told = db("status").ended(0)
    assert f"the way back of migration {number} (2.1.0) is possible now: yes" in told.out
    assert "table public.old of migration 1" in told.out
    assert db("status", "--json").ended(0).json["possible"] == "yes"

    db("finalize").refused(
        4, what="Nobody can be asked", now="Nothing was changed", next="backout db finalize --yes"
    )
    db("finalize", "--yes").refused(
        8, what=r"Migration 1 \(2.1.0\) .* 72 h", now="Nothing", next="finalize --now"
    )
    db("uninstall", "--yes").refused(8, what="public.t._bo_", now="Nothing", next="finalize --now .*rollback")
    tried = db("finalize", "--now", "--dry-run").ended(0)
    assert 'DROP TABLE "backout_hidden"."_bo_' in tried.out and "Tried and undone: migration 1" in tried.err
    done = db("finalize", "--to", "2.1.0", "--now", "--yes").ended(0)
    assert "dropped  table public.old" in done.out and "until VACUUM FULL" in done.out
    db("rollback", "--yes").refused(
        8, what=r"Migration 1 \(2.1.0\) was finalized", now="Nothing", next="history"
    )
    assert "possible now: no" in db("status").ended(0).out
    assert "1 migration(s)" in db("uninstall", "--yes").ended(0).out
    assert "Nothing of backout is in" in db("uninstall", "--yes").ended(0).out


def test_what_was_taken_back_is_dropped_with_its_word(database: Database, db: Callable[..., Done]) -> None:
    link = database.link()
    run(link, BEFORE)
    undo(link, migrate(link, "ALTER TABLE t ADD COLUMN d int"))
    assert "Nothing is to be finalized" in db("finalize", "--now", "--yes").ended(0).out
    found = db("finalize", "--now", "--undone", "--yes", "--json").ended(0).json
    assert [one["called"] for one in found["dropped"]] == ["public.t.d"]
    assert db("history", "--json").ended(0).json["migrations"][0]["state"] == "discarded"


def test_blockers_are_shown_and_ended(database: Database, db: Callable[..., Done]) -> None:
    link, hung = database.link(), database.link()
    run(link, BEFORE)
    migrate(link, "ALTER TABLE t ADD COLUMN d int")
    assert "Nobody waits" in db("blockers", "--end").ended(0).out
    hung.rows("BEGIN")
    hung.rows("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    pid = hung.connection.info.backend_pid
    with behind(database, "SELECT count(*) FROM t"):
        told = db("blockers").ended(0)
        assert told.out.startswith(f"{pid}  ") and "idle in transaction" in told.out
        assert "  SELECT count(*) FROM t" in told.out
        db("blockers", "--end").refused(
            4, what=str(pid), now="Nothing was changed", next="blockers --end --yes"
        )
        done = db("blockers", "--end", "--yes").ended(0)
    assert f"ended  {pid}" in done.out
    assert "is applied; it has committed 1 change(s):" in done.out and "column public.t.d made" in done.out


def test_bad_input_says_what_to_type(db: Callable[..., Done]) -> None:
    assert "cannot be given both" in db("finalize", "--to", "1", "--steps", 2).ended(2).err
    assert "cannot be given both" in db("rollback", "--to", "1", "--steps", 2).ended(2).err
    db("finalize", "--to", "9.9.9", "--yes").refused(2, what="9.9.9", now="Nothing", next="history")
    for verb in (["status"], ["finalize", "--yes"], ["uninstall", "--yes"], ["blockers"]):
        away = "postgresql://nobody:s3cret-word@127.0.0.1:1/app"
        told = db(*verb, "--database", away).refused(
            3, what="cannot be reached|refused", now="Nothing", next="backout"
        )
        assert "s3cret-word" not in told.everything
        assert "warning  The password in --database is shown" in told.err


def test_an_address_that_leads_nowhere_is_told_with_what_to_type(
    db: Callable[..., Done], typed: Callable[..., Done], database: Database
) -> None:
    asked = "--database postgresql://USER@HOST/NAME"
    for verb in (("db", "status"), ("db", "history"), ("migrate", "--", "true")):
        typed(*verb, DATABASE_URL="mysql://a/b").refused(2, what="DATABASE_URL", now="Nothing", next=asked)
        wrong = database.url.replace("://collector:", "://collector:x")
        typed(*verb, DATABASE_URL=wrong).refused(
            3, what="password authentication failed", now="Nothing", next="psql -c"
        )
    assert "the command is empty" in typed("migrate", "--", "").ended(2).err
    assert "expected TABLE.COLUMN=EXPR" in typed("migrate", "--fill", "n=1", "--", "true").ended(2).err
    failed = typed("migrate", "--", "sh", "-c", "exit 5").ended(5).err
    assert "no connection came through backout; the schema is the same" in failed
    none = db("status").ended(0)
    assert "a way back is possible now: no" in none.out and "next   backout db history" in none.err


def test_after_a_kill_the_status_says_what_to_type(database: Database, db: Callable[..., Done]) -> None:
    link = database.link()
    run(link, BEFORE)
    migrate(link, "ALTER TABLE t ADD COLUMN d int")
    run(link, "UPDATE backout.migration SET state = 'running'")
    assert "next   backout db finish" in db("status").ended(0).err
    db("finish").ended(0)
    assert "next   backout db rollback --dry-run" in db("status").ended(0).err


def test_another_role_is_told_so(
    database: Database, db: Callable[..., Done], postgres: EmbeddedPostgres
) -> None:
    link = database.link()
    run(link, BEFORE)
    migrate(link, "ALTER TABLE t ADD COLUMN d int")
    url = postgres.superuser_url.rsplit("/", 1)[0] + "/" + database.url.rsplit("/", 1)[1]
    for verb in (["status"], ["finalize", "--now", "--yes"], ["uninstall", "--yes"]):
        db(*verb, "--database", f"{url}?options=-crole%3Dreader").refused(
            3, what="permission denied", now="rolled back", next="as the role that owns the tables"
        )
