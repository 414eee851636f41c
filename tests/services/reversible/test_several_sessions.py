"""A tool with several sessions: what one has committed while another's transaction was open is journalled once."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.after import finish
from backout.databases.postgres.reversible.keeper import Kept, ReversibleKeeper
from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.reversible.parse import statements
from backout.databases.postgres.reversible.proxy.keeper import Manner, Pass
from backout.databases.postgres.reversible.rows.capture import Capture

from .conftest import Database
from .engine import redo, run, undo
from .states import schema_of, seen

pytestmark = pytest.mark.slow

BEFORE = """
CREATE TABLE t (id int PRIMARY KEY, a text, b text);
INSERT INTO t VALUES (1, 'a', 'b');
CREATE TABLE history (version int);
"""
WORK = (
    "ALTER TABLE t DROP COLUMN a; ALTER TABLE t RENAME b TO c; CREATE TABLE m (id int); UPDATE t SET c = 'x'"
)


class Session:
    """One of a migration's sessions, kept by a keeper of its own."""

    def __init__(self, link: DirectLink, kept: Kept) -> None:
        self.link, self.keeper = link, ReversibleKeeper(kept)

    def begin(self) -> None:
        self.link.rows("BEGIN")
        self.keeper.begins(self.link)

    def run(self, script: str) -> None:
        for one in statements(script):
            if isinstance(self.keeper.statement(self.link, one), Pass):
                self.link.rows(one.text)
                self.keeper.ran(self.link, one)

    def alone(self, text: str) -> None:
        (one,) = statements(text)
        assert self.keeper.manner(one) is Manner.ALONE
        self.keeper.before_alone(self.link, one)
        self.link.rows(text)
        self.keeper.ended_alone(self.link, one, failed=False)

    def commit(self) -> None:
        self.keeper.before_commit(self.link)
        self.link.rows("COMMIT")

    def ended(self, *, committed: bool = True) -> None:
        self.keeper.ended(committed=committed)


class Tool:
    """A migration with two sessions, and somebody who looks at it."""

    def __init__(self, database: Database) -> None:
        self.link, self.own = database.link(), database.link()
        run(self.link, BEFORE)
        journal.install(self.link)
        self.kept = Kept(journal.begin(self.link, "2.0.0", "test"), lambda: self.own)
        self.history, self.work = (Session(database.link(), self.kept) for _ in range(2))

    def end(self) -> list[str]:
        """End it; return what is journalled."""
        journal.end(self.link, self.kept.migration, "applied")
        assert Capture(self.own, self.kept.migration).remove() == []
        assert finish(self.link).unfinished == ()
        return sorted(
            one.kind
            for one in journal.entries(self.link, (self.kept.migration,), "applied")
            if one.kind != "rows"
        )


@pytest.fixture
def tool(database: Database) -> Tool:
    return Tool(database)


@pytest.mark.parametrize("heard", [True, False], ids=["heard", "not yet heard"])
def test_what_one_session_commits_is_not_the_doing_of_another_that_began_before(
    tool: Tool, database: Database, heard: bool
) -> None:
    """As Flyway: a transaction about its history is open while another session does the work."""
    before = schema_of(database.url)
    tool.history.begin()
    tool.history.run("INSERT INTO history VALUES (1)")
    tool.work.begin()
    tool.work.run(WORK)
    tool.work.commit()
    if heard:
        tool.work.ended()
    tool.history.run("ALTER TABLE history ADD at timestamptz")
    tool.history.commit()
    tool.history.ended()
    if not heard:
        tool.work.ended()
    assert tool.end() == ["column.added", "column.hidden", "renamed", "table.added"]
    after = schema_of(database.url)

    undo(tool.link, tool.kept.migration)
    assert schema_of(database.url) == before
    assert seen(tool.link, "SELECT * FROM t") == "1 a b"
    assert seen(tool.link, "SELECT count(*) FROM history") == "0"
    redo(tool.link, tool.kept.migration)
    assert schema_of(database.url) == after
    assert seen(tool.link, "SELECT id, c FROM t") == "1 x"


def test_what_another_session_has_undone_is_none_of_its_doing(tool: Tool, database: Database) -> None:
    before = schema_of(database.url)
    tool.history.begin()
    tool.history.run("INSERT INTO history VALUES (1)")
    tool.work.begin()
    tool.work.run("ALTER TABLE t RENAME b TO c")
    tool.work.keeper.before_commit(tool.work.link)
    tool.work.link.rows("ROLLBACK")
    tool.work.ended(committed=False)
    tool.history.run("ALTER TABLE t RENAME b TO c")
    tool.history.commit()
    tool.history.ended()
    assert tool.end() == ["renamed"]
    undo(tool.link, tool.kept.migration)
    assert schema_of(database.url) == before


def test_an_index_that_another_session_builds_concurrently_is_journalled_once(
    tool: Tool, database: Database
) -> None:
    before = schema_of(database.url)
    tool.history.begin()  # as a session that was opened, and has asked nothing yet: else the index would wait for it
    tool.history.link.rows("COMMIT")
    tool.work.alone("CREATE INDEX CONCURRENTLY t_b ON t (b)")
    tool.history.link.rows("BEGIN")
    tool.history.run("INSERT INTO history VALUES (1)")
    tool.history.commit()
    tool.history.ended()
    assert len([one for one in tool.end() if one.startswith("index")]) == 1
    undo(tool.link, tool.kept.migration)
    assert schema_of(database.url) == before
