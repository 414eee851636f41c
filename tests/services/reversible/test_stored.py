"""How things are stored: what somebody has set since stays, or is told."""

from __future__ import annotations

import pytest

from backout.databases.postgres.reversible import catalog
from backout.databases.postgres.reversible.back import NotReversible
from backout.databases.postgres.reversible.link import Link

from .conftest import Database
from .engine import migrate, redo, run, undo
from .states import seen

pytestmark = pytest.mark.slow

_ROWS = "CREATE TABLE t (id int PRIMARY KEY, a text, b text); CREATE INDEX i ON t (a);"
_SET = "SELECT array_to_string(reloptions, ' ') FROM pg_class WHERE relname = 't'"


def refused(link: Link, number: int, why: str) -> None:
    there = catalog.read_alone(link)
    with pytest.raises(NotReversible, match=why):
        undo(link, number)
    assert catalog.read_alone(link) == there


def test_parameters_that_somebody_set_since_stay(database: Database) -> None:
    link = database.link()
    run(link, f"{_ROWS} ALTER TABLE t SET (fillfactor = 90)")
    number = migrate(link, "ALTER TABLE t SET (fillfactor = 50, autovacuum_enabled = false)")
    run(link, "ALTER TABLE t SET (parallel_workers = 2)")
    undo(link, number)
    assert seen(link, _SET) == "parallel_workers=2 fillfactor=90"
    redo(link, number)
    assert sorted(seen(link, _SET).split()) == [
        "autovacuum_enabled=false",
        "fillfactor=50",
        "parallel_workers=2",
    ]
    run(link, "ALTER TABLE t SET (fillfactor = 60)")
    refused(link, number, r"public\.t has other storage settings since: fillfactor")


@pytest.mark.parametrize(
    ("up", "since", "why"),
    [
        (
            "ALTER a SET STATISTICS 5",
            "ALTER a SET STATISTICS 7",
            r"t\.a has other storage settings since: target",
        ),
        (
            "REPLICA IDENTITY FULL",
            "REPLICA IDENTITY NOTHING",
            r"t has other storage settings since: replica identity",
        ),
        ("CLUSTER ON t_pkey", "CLUSTER ON i", r"t has other storage settings since: clustered"),
    ],
)
def test_what_somebody_set_otherwise_since_is_left(database: Database, up: str, since: str, why: str) -> None:
    link = database.link()
    run(link, _ROWS)
    number = migrate(link, f"ALTER TABLE t {up}")
    run(link, f"ALTER TABLE t {since}")
    refused(link, number, why)
    run(link, f"ALTER TABLE t {up}")
    undo(link, number)
