"""Who may do what, before, after and again: tried as those who may, and may not."""

from __future__ import annotations

import re

import pytest

from backout.databases.postgres.reversible import catalog, journal
from backout.databases.postgres.reversible.back import NotReversible
from backout.databases.postgres.reversible.link import Link
from backout.databases.postgres.reversible.outlook import obstacles, obstacles_again

from .conftest import Database
from .engine import migrate, redo, run, undo
from .servers import Server
from .states import schema_of, seen

pytestmark = pytest.mark.slow

_ROWS = "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'a1'), (2, 'a2'), (3, 'a3');"
_FORCED = "ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY;"


def test_rows_that_a_policy_hides_from_the_owner_are_filled_too(database: Database) -> None:
    link = database.link()
    run(link, f"{_ROWS} CREATE POLICY p ON t USING (id <> 3); {_FORCED}")
    before = schema_of(database.url)
    number = migrate(link, "ALTER TABLE t ADD n int NOT NULL DEFAULT 7; UPDATE t SET a = a || '!'")
    undo(link, number)
    assert schema_of(database.url) == before
    run(
        link,
        "INSERT INTO t VALUES (4, 'a4'); ALTER TABLE t NO FORCE ROW LEVEL SECURITY; INSERT INTO t VALUES (5, 'a5');"
        "UPDATE t SET id = 30 WHERE id = 3; ALTER TABLE t FORCE ROW LEVEL SECURITY",
    )
    redo(link, number)
    run(link, "ALTER TABLE t NO FORCE ROW LEVEL SECURITY")
    assert seen(link, "SELECT id, n FROM t ORDER BY id") == "1 7 | 2 7 | 4 7 | 5 7 | 30 7"


def test_row_security_that_somebody_switched_since_is_left(database: Database) -> None:
    link = database.link()
    run(link, _ROWS)
    number = migrate(link, "ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    run(link, "ALTER TABLE t FORCE ROW LEVEL SECURITY")
    with pytest.raises(NotReversible, match=r"public\.t has another row level security since"):
        undo(link, number)
    run(link, "ALTER TABLE t NO FORCE ROW LEVEL SECURITY")
    undo(link, number)
    assert seen(link, "SELECT relrowsecurity FROM pg_class WHERE relname = 't'") == "f"


def as_other(link: Link, query: str) -> str:
    """Return what the role `other` sees."""
    run(link, "SET ROLE other")
    try:
        return seen(link, query)
    finally:
        run(link, "RESET ROLE")


def left(link: Link, number: int, why: str, *, forward: bool = False) -> None:
    """Assert that a way is refused by that reason, which is told beforehand, and that nothing was changed."""
    there = catalog.read_alone(link)
    told = (obstacles_again if forward else obstacles)(there, journal.every_entry(link))
    assert [one for one in told if re.search(why, one)]
    with pytest.raises(NotReversible, match=why):
        (redo if forward else undo)(link, number)
    assert catalog.read_alone(link) == there


_SEES = "SELECT id FROM t ORDER BY id"
_READ = f"{_ROWS} GRANT SELECT ON t TO other; ALTER TABLE t ENABLE ROW LEVEL SECURITY;"


def test_another_role_sees_what_the_policy_of_then_lets_it_see(database: Database) -> None:
    link = database.link()
    run(link, f"{_READ} CREATE POLICY p ON t FOR SELECT TO other USING (a IN ('a1', 'a2'))")
    number = migrate(
        link,
        "DROP POLICY p ON t; ALTER TABLE t RENAME a TO b; CREATE POLICY p ON t FOR SELECT TO other USING (b = 'a3')",
    )
    assert as_other(link, _SEES) == "3"
    undo(link, number)
    assert as_other(link, _SEES) == "1 | 2"
    redo(link, number)
    assert as_other(link, _SEES) == "3"


def test_a_policy_over_a_table_that_is_renamed_comes_back_by_its_earlier_name(database: Database) -> None:
    link = database.link()
    run(link, f"{_READ} CREATE TABLE u (x int); INSERT INTO u VALUES (2); GRANT SELECT ON u TO other;"
        "CREATE POLICY p ON t USING (id IN (SELECT x FROM u WHERE a <> ''))")  # fmt: skip
    before = schema_of(database.url)
    numbers = [
        migrate(link, "ALTER TABLE u RENAME TO v; ALTER TABLE v RENAME x TO y"),
        migrate(link, "ALTER POLICY p ON t USING (id IN (SELECT y + 1 FROM v))"),
    ]
    assert as_other(link, _SEES) == "3"
    after = schema_of(database.url)
    for number in reversed(numbers):
        undo(link, number)
    assert schema_of(database.url) == before and as_other(link, _SEES) == "2"
    for number in numbers:
        redo(link, number)
    assert schema_of(database.url) == after and as_other(link, _SEES) == "3"


def test_a_policy_that_was_changed_since_is_left(database: Database) -> None:
    link = database.link()
    run(link, _READ)
    number = migrate(link, "CREATE POLICY p ON t USING (id = 1)")
    run(link, "ALTER POLICY p ON t USING (id = 2)")
    left(link, number, r"p was changed by somebody else since")
    run(link, "ALTER POLICY p ON t USING (id = 1)")
    undo(link, number)
    dropped = migrate(link, "CREATE POLICY q ON t", "DROP POLICY q ON t; CREATE POLICY r ON t")
    run(link, "DROP POLICY r ON t")
    left(link, dropped, r"\.r is not there")


def test_a_policy_that_is_not_as_before_any_more_is_not_dropped_again(database: Database) -> None:
    link = database.link()
    run(link, f"{_READ} CREATE POLICY p ON t USING (id = 1)")
    number = migrate(link, "DROP POLICY p ON t")
    undo(link, number)
    run(link, "ALTER POLICY p ON t TO other")
    left(link, number, r"p was changed by somebody else since", forward=True)


def test_a_policy_never_speaks_of_another_column_than_before(database: Database) -> None:
    link = database.link()
    run(link, f"{_READ} ALTER TABLE t ADD b text; CREATE POLICY p ON t USING (a = 'a1')")
    number = migrate(link, "DROP POLICY p ON t")
    run(link, "ALTER TABLE t RENAME a TO c; ALTER TABLE t RENAME b TO a")
    with pytest.raises(NotReversible, match=r"p would speak of other columns than before"):
        undo(link, number)
    run(link, "ALTER TABLE t RENAME a TO b")
    with pytest.raises(NotReversible, match=r'p cannot be made again: column "a" does not exist'):
        undo(link, number)
    run(link, "ALTER TABLE t RENAME c TO a")
    undo(link, number)


def test_a_policy_of_a_role_that_was_dropped_since(database: Database, server: Server) -> None:
    link, name = database.link(), f"passing{server.version}"
    with server.connected(superuser=True) as admin:
        admin.execute(f"CREATE ROLE {name}")
    run(link, f"{_READ} CREATE POLICY p ON t TO {name}, other USING (true)")
    number = migrate(link, "DROP POLICY p ON t")
    with server.connected(superuser=True) as admin:
        admin.execute(f"DROP ROLE {name}")
    with pytest.raises(NotReversible, match=rf"p cannot be made again: its role {name} is not there"):
        undo(link, number)
    with server.connected(superuser=True) as admin:
        admin.execute(f"CREATE ROLE {name}")
    undo(link, number)
    run(link, "DROP POLICY p ON t")
    with server.connected(superuser=True) as admin:
        admin.execute(f"DROP ROLE {name}")
