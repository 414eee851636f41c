"""What is temporary is changed and dropped as the statement says, and nobody keeps it."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.proxy.keeper import Veto

from .conftest import Database
from .engine import migrate, run

pytestmark = pytest.mark.slow


def test_a_temporary_table_is_changed_and_dropped_for_real(database: Database) -> None:
    link = database.link()
    migrate(
        link,
        "CREATE TEMP TABLE x (a int, b int, i int GENERATED ALWAYS AS IDENTITY)",
        "ALTER TABLE x DROP COLUMN b, ALTER i DROP IDENTITY; INSERT INTO x VALUES (1, 2)",
    )
    assert link.rows("SELECT * FROM x") == [{"a": "1", "i": "2"}]
    migrate(link, "DROP TABLE IF EXISTS x, nothing; ALTER TABLE IF EXISTS x DROP COLUMN a")
    assert link.rows("SELECT to_regclass('x') AS x") == [{"x": None}]
    assert journal.every_entry(link) == []


def test_a_temporary_table_is_not_dropped_together_with_another(database: Database) -> None:
    link = database.link()
    run(link, "CREATE TABLE t (a int)")
    with pytest.raises(Veto) as raised:
        migrate(link, "CREATE TEMP TABLE x (a int); DROP TABLE x, t")
    assert raised.value.hint == "Make two statements of it."
