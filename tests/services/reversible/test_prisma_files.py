"""Files that Prisma made for an application that many run, applied as its engine applies them: back and forth.

The engine itself is downloaded at run time, which a test cannot rely on; `histories/prisma_engine.py` does what it does.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from .conftest import Database
from .test_tools import State, ok, state, unlike
from .tools import HISTORIES, Tool

pytestmark = pytest.mark.slow

# What only the application's people can say: such rows may stay without a value, which is accepted.
_NONE = (
    "LiteLLM_DailyTagSpend.tag", "LiteLLM_DailyTeamSpend.team_id", "LiteLLM_DailyUserSpend.user_id", "LiteLLM_ManagedFileTable.file_object",
    "LiteLLM_DailyTagSpend.model", "LiteLLM_DailyTeamSpend.model", "LiteLLM_DailyUserSpend.model", "LiteLLM_MCPServerTable.url",
)  # fmt: skip
_ANSWERS = tuple(word for one in _NONE for word in ("--fill", f"{one}=NULL"))
_FIRST, _THEN = 8, 30
"""Among those after the first are changes of types, of NOT NULL and of foreign keys, on tables that the first made."""


class PrismaFiles(Tool):
    """The first of the application's migrations."""

    clocks = ("started_at", "finished_at", "(?<=[( ])id(?=='[0-9a-f-]{36}')")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        found = importlib.util.find_spec("litellm_proxy_extras")
        assert found is not None and found.origin is not None
        self._from = Path(found.origin).parent / "migrations"

    def names(self) -> list[str]:
        return sorted(one.parent.name for one in self._from.glob("*/migration.sql"))[:_THEN]

    def lay(self, count: int) -> None:
        for name in self.names()[:count]:
            shutil.copytree(self._from / name, self.folder / "migrations" / name, dirs_exist_ok=True)

    def argv(self) -> list[str]:
        return [sys.executable, str(HISTORIES / "prisma_engine.py"), str(self.folder / "migrations")]


_SEEDS = """INSERT INTO "LiteLLM_Config" (param_name) VALUES ('one');
  INSERT INTO "LiteLLM_DailyUserSpend" (id, user_id, date, api_key, model, updated_at) VALUES ('1', 'ann', '2026-01-01', 'k', 'm', now())"""
_SINCE = """INSERT INTO "LiteLLM_Config" (param_name) VALUES ('two');
  INSERT INTO "LiteLLM_DailyUserSpend" (id, user_id, date, api_key, model, prompt_tokens, updated_at) VALUES ('2', 'bob', '2026-01-02', 'k', 'm', 5, now());
  UPDATE "LiteLLM_DailyUserSpend" SET prompt_tokens = prompt_tokens + 1 WHERE id = '1'"""


@pytest.mark.parametrize("server", [15], indirect=True)
def test_files_that_prisma_made_go_up_as_without_backout_and_back_and_up_again(
    database: Database, second: Database, tmp_path: Path
) -> None:
    tool, link = PrismaFiles(tmp_path), database.link()
    tool.lay(_FIRST)
    ok(tool.plain(second.url))
    ok(tool.through(database.url, *_ANSWERS))
    for one in (second, database):
        one.connect().execute(_SEEDS)
    before = state(database)
    tool.lay(_THEN)
    ok(tool.plain(second.url))
    ok(tool.through(database.url, *_ANSWERS))
    for one in (second, database):
        one.connect().execute(_SINCE)
    after = state(database)
    assert unlike(State(state(second).things, {}), State(after.things, {})) == []

    ok(tool.backout(database.url, "db", "rollback", "--yes"))
    assert unlike(State(before.things, {}), State(state(database).things, {})) == []
    told = 'SELECT id, user_id, prompt_tokens AS n FROM "LiteLLM_DailyUserSpend" ORDER BY id'
    assert [tuple(row.values()) for row in link.rows(told)] == [("1", "ann", "1"), ("2", "bob", "5")]
    assert _applied(database) == _FIRST

    ok(tool.backout(database.url, "db", "redo", "--yes"))
    assert unlike(after, state(database)) == []
    assert _applied(database) == _THEN
    assert "Nothing was changed that would have to be taken back" in ok(tool.through(database.url))


def test_a_shadow_database_is_not_for_a_release(database: Database, tmp_path: Path) -> None:
    """`prisma migrate dev` makes one, on the developer's own server; through backout nothing is made and nothing is done."""
    tool = PrismaFiles(tmp_path)
    shadow = "import os, psycopg; psycopg.connect(os.environ['DATABASE_URL'], autocommit=True).execute('CREATE DATABASE \"prisma_migrate_shadow_db_1\"')"
    refused: subprocess.CompletedProcess[str] = tool.through(
        database.url, argv=[sys.executable, "-c", shadow]
    )
    assert refused.returncode != 0 and "It makes another database." in refused.stderr
    found = (
        database.connect().execute("SELECT 1 FROM pg_database WHERE datname ~ '^prisma_migrate'").fetchall()
    )
    assert found == []


def _applied(database: Database) -> int:
    with psycopg.connect(database.url) as connection:
        found = connection.execute("SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL").fetchone()  # fmt: skip
    assert found is not None
    return int(found[0])
