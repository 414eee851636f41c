"""A file for each step of a real tool's history: after it schema and history are those of before, and the tool goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.services.reversible.conftest import Database
from tests.services.reversible.engine import run
from tests.services.reversible.states import changed, schema_of
from tests.services.reversible.tools import Alembic, Drizzle, Tool

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", [Drizzle, Alembic], ids=lambda kind: kind.__name__)
def test_every_step_goes_back_by_its_file_and_forward_again(
    kind: type[Tool], database: Database, tmp_path: Path, require_service: Callable[[str], None]
) -> None:
    require_service(kind.needs)
    folder = tmp_path / "project"
    folder.mkdir()
    tool = kind(folder)
    tool.before(database.url)
    file = tmp_path / "down.sql"
    for count in range(1, len(tool.names()) + 1):
        tool.lay(count)
        before = schema_of(database.url)
        # Before the first there is no table with the tool's account.
        done = tool.done(database.url, database.link()) if count > 1 else None
        made = tool.backout(database.url, "db", "down-sql", "--output", str(file), "--", *tool.argv())
        assert made.returncode == 0, f"{tool.names()[count - 1]}\n{made.stdout}{made.stderr}"
        assert changed(before, schema_of(database.url)) == []

        assert tool.plain(database.url).returncode == 0
        after = schema_of(database.url)
        # What a step inserts stays, and the file says so: the tool could not insert it twice.
        if count > 1 and "what it inserts into" not in file.read_text():
            run(database.link(), file.read_text())
            assert changed(before, schema_of(database.url)) == [], file.read_text()
            assert tool.done(database.url, database.link()) == done
            assert tool.plain(database.url).returncode == 0
        assert changed(after, schema_of(database.url)) == []
