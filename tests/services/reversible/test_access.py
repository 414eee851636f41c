"""Who may do what, before, after and again: tried as those who may, and may not."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible.back import NotReversible

from .conftest import Database
from .engine import migrate, redo, run, undo
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
