"""Flyway itself: all that is pending in one command, back and forth, and its own checks pass each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Database
from .test_tools import State, ok, state, unlike
from .tools import Flyway

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("server", [15], indirect=True)
def test_a_history_goes_up_as_without_backout_and_back_and_up_again(
    database: Database, second: Database, tmp_path: Path, require_service: Callable[[str], None]
) -> None:
    require_service("java")
    tool, link = Flyway(tmp_path), database.link()
    tool.lay(2)
    ok(tool.plain(second.url))
    ok(tool.through(database.url, "--release", "1"))
    for one in (second, database):
        one.connect().execute(tool.seeds)
    before, last = state(database), len(tool.names())
    # In two commands: one that fills a column and drops another of its table is refused.
    for release, count in enumerate((7, last), 2):
        tool.lay(count)
        ok(tool.plain(second.url))
        assert "can be taken back" in ok(tool.through(database.url, "--release", str(release)))
    for one in (second, database):
        one.connect().execute(tool.since)
    after = state(database)
    assert unlike(state(second), after, tool.clocks) == []

    ok(tool.backout(database.url, "db", "rollback", "--yes", "--steps", "2"))
    now = State(state(database).things, {})
    assert unlike(State(before.things, {}), now, residue=tool.residue) == []
    emails = {row["email"] for row in link.rows("SELECT email FROM customers")}
    assert emails == {"ann@x", "bob@x", "cem@x"}
    assert tool.done(database.url, link) == 2

    ok(tool.backout(database.url, "db", "redo", "--yes", "--steps", "2"))
    assert unlike(after, state(database)) == []
    assert tool.validated(database.url)
    assert "Nothing was changed that would have to be taken back" in ok(tool.through(database.url))
