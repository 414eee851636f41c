"""`backout check --all`: each migration of a history on what those before it have made."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import Done
from tests.services.reversible.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("server", [15], indirect=True)]

_FILES = {
    "1.sql": "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL, b text); CREATE TABLE u (id int)",
    "2.sql": "ALTER TABLE t DROP COLUMN b;\n--> statement-breakpoint\nDROP TABLE u",
    "3.sql": "INSERT INTO t VALUES (7, 'rows alone')",
    "4.sql": "ALTER TABLE t DROP COLUMN a",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in _FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def _check(typed: Callable[..., Done], server: Server, *words: object) -> tuple[Done, list[tuple[str, str]]]:
    done = typed("check", "--json", "--all", "--empty", "--scratch", server.postgres.superuser_url, *words)
    return done, [(one["migration"], one["verdict"]) for one in json.loads(done.out)["migrations"]]


def test_a_file_for_each_migration(typed: Callable[..., Done], server: Server, folder: Path) -> None:
    done, found = _check(typed, server, "--files", folder / "*.sql")
    assert [(Path(name).name, verdict) for name, verdict in found] == [
        ("1.sql", "proven"),
        ("2.sql", "proven"),
        ("3.sql", "proven"),
        ("4.sql", "answer"),
    ]
    assert done.code == 4


def test_a_command_that_makes_one_migration_each_time(
    typed: Callable[..., Done], server: Server, folder: Path
) -> None:
    script = folder / "next.py"
    script.write_text(
        "import os, pathlib, psycopg\n"
        "with psycopg.connect(os.environ['DATABASE_URL']) as c:\n"
        "    c.execute('CREATE TABLE IF NOT EXISTS schema_migrations (version text PRIMARY KEY)')\n"
        "    done = {v for v, in c.execute('SELECT version FROM schema_migrations')}\n"
        "    todo = [f for f in sorted(pathlib.Path(__file__).parent.glob('[12].sql')) if f.name not in done]\n"
        "    for f in todo[:1]:\n"
        "        c.execute(f.read_text().replace('--> statement-breakpoint', ''))\n"
        "        c.execute('INSERT INTO schema_migrations VALUES (%s)', (f.name,))\n"
    )
    done, found = _check(typed, server, "--", sys.executable, script)
    assert found == [("rails:1.sql", "proven"), ("rails:2.sql", "proven")]
    assert done.code == 0


def test_one_that_fails_ends_it_and_is_told(typed: Callable[..., Done], server: Server, folder: Path) -> None:
    (folder / "2.sql").write_text("DROP TABLE nowhere")
    done, found = _check(typed, server, "--files", folder / "*.sql")
    assert [verdict for _, verdict in found] == ["proven", "failed"]
    assert done.code == 3


def test_no_file_of_that_name(typed: Callable[..., Done]) -> None:
    done = typed("check", "--all", "--files", "nowhere/*.sql")
    assert done.code == 2
    assert "no file is called nowhere/*.sql" in " ".join(done.err.split())
