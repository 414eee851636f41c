"""`backout migrate --observe` as it is typed: what it says, what is in the journal, and what is refused afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import Done

from backout.databases.postgres.reversible import journal

from .conftest import Database
from .engine import migrate, run, undo
from .test_settings import configured, psql

pytestmark = pytest.mark.slow

BEFORE = "CREATE TABLE t (id int PRIMARY KEY, a text, b text NOT NULL); INSERT INTO t VALUES (1, 'a', 'b')"


def test_nothing_is_kept_and_it_is_said_what_would_have_been(
    database: Database, typed: Callable[..., Done]
) -> None:
    link = database.link()
    run(link, BEFORE)
    statements = (
        "ALTER TABLE t DROP a",
        "ALTER TABLE t DROP b",
        "CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)",
    )
    told = typed("migrate", "--observe", "--release", "2.0.0", *psql(*statements)).ended(0)
    assert told.out == "ALTER TABLE\nALTER TABLE\nCREATE OPERATOR\n"
    assert "Migration 1 was only observed: it ran as it is, and cannot be taken back." in told.err
    kept, _, refused = told.err.partition("backout would have refused")
    assert "  column public.t.a dropped (hidden)\n" in kept and "public.t.b" not in kept
    assert "backout needs an answer for public.t.b" in refused
    assert "run backout migrate --fill t.b=EXPR" in refused
    assert "operator " in refused
    columns = "SELECT attname AS n FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped"
    assert link.rows(columns) == [{"n": "id"}]
    shown = typed("db", "history").ended(0).out
    assert "2.0.0" in shown and "observed" in shown
    assert "would have been refused: backout needs an answer for public.t.b" in shown


def test_an_answer_that_is_told_is_asked_for_no_more(database: Database, typed: Callable[..., Done]) -> None:
    run(database.link(), BEFORE)
    done = typed("migrate", "--observe", "--json", "--fill", "t.b='x'", *psql("ALTER TABLE t DROP b")).ended(
        0
    )
    told = done.out[done.out.index("{") :]
    assert '"refused": []' in told and '"mode": "observe"' in told
    assert "column public.t.b dropped (hidden)" in told


@pytest.mark.parametrize("words", [[], ["--steps", "2"], ["--to", "1.0.0"]])
def test_it_cannot_be_taken_back_nor_what_was_before_it(
    database: Database, typed: Callable[..., Done], tmp_path: Path, words: list[str]
) -> None:
    link = database.link()
    run(link, BEFORE)
    migrate(link, "ALTER TABLE t ADD base int", release="1.0.0")
    migrate(link, "ALTER TABLE t ADD c int", release="2.0.0")
    configured(tmp_path, "mode: observe")
    typed("migrate", *psql("ALTER TABLE t ADD d int")).ended(0)
    typed("db", "rollback", "--yes", *words).refused(
        8, what="Migration 3 was only observed", now="Nothing was changed", next="history"
    )
    assert link.rows("SELECT id, c, d FROM t") == [{"id": "1", "c": None, "d": None}]
    status = typed("db", "status").ended(0).out
    assert "possible now: no" in status and "Migration 3 was only observed" in status
    # A later one that was kept stands by itself.
    migrate(link, "ALTER TABLE t ADD e int")
    typed("db", "rollback", "--yes").ended(0)


def test_nothing_is_made_again_below_it(database: Database, typed: Callable[..., Done]) -> None:
    link = database.link()
    run(link, BEFORE)
    undo(link, migrate(link, "ALTER TABLE t ADD c int"))
    typed("migrate", "--observe", *psql("ALTER TABLE t ADD d int")).ended(0)
    typed("db", "redo", "--yes").refused(8, what="2 came after it", now="Nothing", next="backout db")


def test_what_failed_or_changed_nothing_leaves_no_trace(
    database: Database, typed: Callable[..., Done]
) -> None:
    link = database.link()
    run(link, BEFORE)
    failed = typed("migrate", "--observe", *psql("BEGIN; ALTER TABLE t DROP a; SELECT 1/0; COMMIT")).ended(1)
    assert "division by zero" in failed.err and "Nothing was changed" in failed.err
    typed("migrate", "--observe", *psql("SELECT 1")).ended(0)
    assert journal.migrations(link) == []


def test_what_goes_past_the_proxy_is_no_success(database: Database, typed: Callable[..., Done]) -> None:
    url = database.url
    past = typed("migrate", "--observe", "--", "psql", "-X", "-d", url, "-c", "CREATE TABLE made ()").ended(7)
    assert "No connection came through backout" in past.err
