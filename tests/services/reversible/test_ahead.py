"""Values of many rows written since are computed before the locks of a way back are taken, in batches, while everybody works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.ahead import convert_ahead, to_convert
from backout.databases.postgres.reversible.budget import rows_within
from backout.databases.postgres.reversible.link import DirectLink
from backout.migration import LOCK_BUDGET_MS

from .conftest import Database
from .engine import migrate, run, undo
from .states import seen

pytestmark = pytest.mark.slow

UPS = {
    "retyped": ("CREATE TABLE t (id int PRIMARY KEY, c int)", "ALTER TABLE t ALTER c TYPE bigint", "c"),
    "taken over": (
        "CREATE TABLE t (id int PRIMARY KEY, c int)",
        "ALTER TABLE t ADD d int; UPDATE t SET d = c; ALTER TABLE t DROP c",
        "d",
    ),
}
MANY = rows_within(LOCK_BUDGET_MS) + 3_000


def _migrated(link: DirectLink, name: str, *, more: str = "") -> tuple[int, str]:
    before, up, column = UPS[name]
    run(link, f"{before}; {more}")
    number = migrate(link, up)
    run(link, f"INSERT INTO t (id, {column}) SELECT n, n FROM generate_series(1, {MANY}) n")
    return number, column


@contextmanager
def _writing(database: Database, column: str) -> Iterator[None]:
    """Have somebody write a row, and commit it at the end."""
    with psycopg.connect(database.url) as connection:
        connection.execute(f"UPDATE t SET {column} = 50 WHERE id = 5")
        yield


@pytest.mark.parametrize("name", UPS)
def test_what_is_computed_ahead_is_what_comes_back_and_what_changes_after_it_too(
    name: str, database: Database
) -> None:
    link = database.link()
    number, column = _migrated(link, name)
    entries = journal.entries(link, (number,), "applied")
    assert len(to_convert(link, entries)) == 1

    with _writing(database, column):
        assert convert_ahead(link, entries) == MANY - 1
    assert to_convert(link, entries) == []
    run(link, f"UPDATE t SET {column} = -{column} WHERE id <= 3; INSERT INTO t (id, {column}) VALUES (0, 7)")

    undo(link, number)
    assert (
        seen(link, "SELECT id, c FROM t WHERE id < 6 ORDER BY id") == "0 7 | 1 -1 | 2 -2 | 3 -3 | 4 4 | 5 50"
    )
    assert seen(link, "SELECT count(*) FROM t WHERE c IS DISTINCT FROM id") == "5"


@pytest.mark.parametrize(
    "more",
    [
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER a BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE RULE r AS ON UPDATE TO t WHERE OLD.id < 0 DO INSTEAD NOTHING",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (true)",
    ],
)  # fmt: skip
def test_nothing_is_computed_ahead_where_somebody_else_would_notice(more: str, database: Database) -> None:
    link = database.link()
    number, _ = _migrated(link, "retyped", more=more)
    assert to_convert(link, journal.entries(link, (number,), "applied")) == []
    undo(link, number)
    assert seen(link, "SELECT c FROM t WHERE id = 9") == "9"


def test_a_value_that_cannot_be_computed_is_left_to_the_way_back(database: Database) -> None:
    link = database.link()
    number, _ = _migrated(link, "retyped")
    run(link, "UPDATE t SET c = 3000000000 WHERE id = 5")
    outcome = undo(link, number)
    assert any("public.t.c has 1 value written since" in one for one in outcome.residues)
    assert seen(link, "SELECT c FROM t WHERE id = 9") == "9"
