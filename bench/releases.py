"""Ten releases taken back at once: each drops a column, adds one, makes a table, an index and a constraint.

The locks are held for the whole of a way back; how long that is, for one and for ten, by the number of other tables there are.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import psycopg
from _servers import database, server

from backout.app.migrations import Migrations

RELEASES, OTHERS, ROWS = 10, (0, 200), 10_000
_UP = """
import os, sys, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    for statement in sys.argv[1:]:
        connection.execute(statement)
"""


def measure() -> dict[str, Any]:
    """Return, by the number of other tables, how long one and all were under locks."""
    found = {}
    with server() as (made, _directory):
        for others in OTHERS:
            with database(made, "releases") as url:
                found[str(others)] = _measured(url, others)
    return {"releases": RELEASES, "by_other_tables": found}


def _measured(url: str, others: int) -> dict[str, Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(RELEASES):
            connection.execute(
                f"CREATE TABLE t{number} (id int PRIMARY KEY, a text, b int); "
                f"INSERT INTO t{number} SELECT n, 'a' || n, n FROM generate_series(1, {ROWS}) n".encode()
            )
        for number in range(others):
            connection.execute(
                f"CREATE TABLE other{number} (id int PRIMARY KEY, a text NOT NULL DEFAULT '')".encode()
            )
    migrations = Migrations(url)
    for number in range(RELEASES):
        done = migrations.migrate(
            [
                sys.executable, "-c", _UP,
                f"ALTER TABLE t{number} DROP COLUMN a",
                f"ALTER TABLE t{number} ADD COLUMN c text NOT NULL DEFAULT 'c'",
                f"CREATE TABLE m{number} (id int PRIMARY KEY, t int REFERENCES t{number})",
                f"CREATE INDEX ON t{number} (b)",
                f"ALTER TABLE t{number} ADD CHECK (b > 0)",
            ],
            release=f"1.{number}.0",
        )  # fmt: skip
        assert done.exit_status == 0, done
    one = migrations.rollback(patience_s=60)
    again = migrations.redo(patience_s=60)
    ten = migrations.rollback(steps=RELEASES, patience_s=60)
    assert not (one.unfinished or again.unfinished or ten.unfinished)
    return {
        "one_back_locks_held_seconds": round(one.seconds, 3),
        "all_back_locks_held_seconds": round(ten.seconds, 3),
        "all_over_one": round(ten.seconds / one.seconds, 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
