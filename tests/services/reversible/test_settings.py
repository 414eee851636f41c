"""`backout.yaml` and the switch: answers, window and mode, as they are typed and beside what is typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import Cli, Done

from .conftest import Database
from .engine import run
from .tools import environment

pytestmark = pytest.mark.slow

CONFIG = """\
service: collector
platform: {kind: process, root: /srv, start: [run], ready_url: "${READY_URL}"}
migrations:
"""
BEFORE = "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL, b text NOT NULL, c int)"


def psql(*statements: str) -> list[str]:
    words = ["--", "psql", "-X", "-v", "ON_ERROR_STOP=1"]
    return [*words, *(word for one in statements for word in ("-c", one))]


def configured(tmp_path: Path, *lines: str) -> None:
    (tmp_path / "backout.yaml").write_text(CONFIG + "".join(f"  {line}\n" for line in lines))


def test_answers_are_ranked_the_file_then_the_command_line_then_the_statement(
    database: Database, typed: Callable[..., Done], tmp_path: Path
) -> None:
    link = database.link()
    run(link, BEFORE.replace("c int)", "c text NOT NULL)"))
    configured(tmp_path, "answers: [fill t.a = 'file', fill public.t.b = 'file', fill public.t.c = 'file']")
    statement = "ALTER TABLE t\n-- backout: fill t.c = 'statement'\nDROP a, DROP b, DROP c"
    typed("migrate", "--fill", "t.b='typed'", "--fill", "public.t.c='typed'", *psql(statement)).ended(0)
    run(link, "INSERT INTO t (id) VALUES (1)")
    typed("db", "rollback", "--yes").ended(0)
    assert link.rows("SELECT a, b, c FROM t") == [{"a": "file", "b": "typed", "c": "statement"}]


@pytest.mark.parametrize("by", ["file", "typed"])
def test_the_value_of_before_a_change_of_type_is_told(
    database: Database, typed: Callable[..., Done], tmp_path: Path, by: str
) -> None:
    link = database.link()
    run(link, BEFORE)
    retype = "ALTER TABLE t ALTER c TYPE text"
    told = typed("migrate", *psql(retype)).ended(1).err
    assert "run backout migrate --back t.c=EXPR" in told
    if by == "file":
        configured(tmp_path, "answers: [back t.c = length(c)]")
    typed("migrate", *(["--back", "t.c=length(c)"] if by == "typed" else []), *psql(retype)).ended(0)
    run(link, "INSERT INTO t VALUES (1, 'a', 'b')")
    run(link, "UPDATE t SET c = 'four'")
    typed("db", "rollback", "--yes").ended(0)
    assert link.rows("SELECT c FROM t") == [{"c": "4"}]


def test_an_answer_without_an_expression_is_no_answer(typed: Callable[..., Done]) -> None:
    for option in ("--fill", "--back"):
        assert "expected TABLE.COLUMN=EXPR" in typed("migrate", option, "t.c", *psql("SELECT 1")).ended(2).err


def test_the_window_is_the_configured_one_unless_it_is_typed(
    database: Database, typed: Callable[..., Done], tmp_path: Path
) -> None:
    link = database.link()
    run(link, BEFORE)
    typed("migrate", *psql("ALTER TABLE t DROP COLUMN c")).ended(0)
    configured(tmp_path, "window_h: 200")
    finalize = ("db", "finalize", "--yes")
    # The switch is about running migrations: it must not shorten the window.
    for env in ({}, {"BACKOUT_MIGRATIONS": "off"}):
        typed(*finalize, **env).refused(8, what="kept for 200 h", now="Nothing", next="finalize --now")
    typed(*finalize, "--window", 100).refused(8, what="kept for 100 h", now="Nothing", next="finalize")
    (tmp_path / "backout.yaml").rename(tmp_path / "other.yaml")
    typed(*finalize).refused(8, what="kept for 72 h", now="Nothing", next="finalize")
    typed(*finalize, "--config", "other.yaml").refused(8, what="200 h", now="Nothing", next="finalize")
    configured(tmp_path, "window_h: 0")
    assert "column public.t.c" in typed(*finalize).ended(0).out


def test_a_broken_file_is_an_error_and_changes_nothing(
    database: Database, typed: Callable[..., Done], tmp_path: Path
) -> None:
    link = database.link()
    configured(tmp_path, "mode: maybe")
    for words in (["migrate", *psql("CREATE TABLE made ()")], ["db", "finalize", "--yes"]):
        typed(*words).refused(
            2, what=r"backout.yaml:4:9: migrations.mode: .*maybe", now="Nothing", next="EDITOR"
        )
    assert link.rows("SELECT to_regclass('made') AS made") == [{"made": None}]


@pytest.mark.parametrize("by", ["file", "variable"])
def test_off_is_the_plain_command_and_says_so(
    database: Database, typed: Callable[..., Done], tmp_path: Path, by: str
) -> None:
    link = database.link()
    run(link, BEFORE)
    configured(tmp_path, "mode: off" if by == "file" else "mode: [broken")
    env = {} if by == "file" else {"BACKOUT_MIGRATIONS": "off"}
    told = typed("migrate", *psql("ALTER TABLE t DROP COLUMN c", "SHOW port"), **env).ended(0)
    why = f"mode: off in {tmp_path}/backout.yaml" if by == "file" else "BACKOUT_MIGRATIONS=off"
    line = f"backout is off ({why}): the command runs directly, and nothing of it can be taken back.\n"
    assert told.err == line
    assert "ALTER TABLE" in told.out
    assert link.rows("SELECT to_regnamespace('backout') AS schema") == [{"schema": None}]
    assert link.rows("SELECT 1 FROM pg_attribute WHERE attname LIKE '_bo_%'") == []

    failed = typed("migrate", "--", "sh", "-c", "exit 41", **env).ended(41)
    assert failed.err == line
    ended = typed("migrate", "--json", "--", "sh", "-c", "kill -TERM $$", **env).ended(128 + 15)
    assert (ended.json["mode"], ended.json["migration"]) == ("off", None)
    typed("migrate", "--", "no-such-program", **env).ended(2)


def test_the_environment_of_the_command_is_untouched_when_off(database: Database, tmp_path: Path) -> None:
    # Not by `typed`: the password is what is shown here.
    environ = environment(database.url, {}) | {"PGSERVICE": "x", "PGSSLMODE": "prefer"}
    done = Cli(tmp_path, environ)("migrate", "--", "env", "-0", env={"BACKOUT_MIGRATIONS": "off"}).ended(0)
    seen = dict(one.split("=", 1) for one in done.out.split("\0") if "=" in one)
    assert seen == environ | {"BACKOUT_MIGRATIONS": "off"}


def test_a_switch_that_is_mistyped_runs_nothing(typed: Callable[..., Done], tmp_path: Path) -> None:
    typed("migrate", "--", "touch", "ran", BACKOUT_MIGRATIONS="of").refused(
        2, what="BACKOUT_MIGRATIONS is of", now="Nothing", next="unset"
    )
    assert not (tmp_path / "ran").exists()


def test_that_rows_stay_without_a_value_is_typed_and_told(
    database: Database, typed: Callable[..., Done]
) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (id int PRIMARY KEY, c text NOT NULL)")
    statement = psql("ALTER TABLE t DROP c")
    assert "With NULL for EXPR" in typed("migrate", *statement).everything
    typed("migrate", "--fill", "t.c=NULL", *statement).ended(0)
    run(link, "INSERT INTO t VALUES (2)")
    status = typed("db", "status").ended(0).out
    assert "possible now: yes" in status, status
    back = typed("db", "rollback", "--yes").ended(0).out
    assert "public.t.c takes NULL, as was accepted" in back, back
    assert link.rows("SELECT id, c FROM t") == [{"id": "2", "c": None}]
