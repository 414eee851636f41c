"""How long the locks of a way back are held by the rows written since, computed under them or before them in batches.

A type is changed (int to bigint), a column is replaced by a copy, and a table is built anew; then so many rows are updated.
Sizes: BACKOUT_BENCH_AHEAD_ROWS=20000,200000; the table has twice as many rows.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import psycopg
from _servers import database, server

from backout.app.migrations import Migrations
from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.link import DirectLink

SIZES = [int(n) for n in os.environ.get("BACKOUT_BENCH_AHEAD_ROWS", "20000,200000").split(",")]
_UPS = {
    "retyped": ("ALTER TABLE t ALTER c TYPE bigint", "c"),
    "taken_over": ("ALTER TABLE t ADD d int; UPDATE t SET d = c; ALTER TABLE t DROP c", "d"),
    "rebuilt": (
        "CREATE TABLE n (id int PRIMARY KEY, c bigint); INSERT INTO n SELECT id, c FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t",
        "c",
    ),
}


def measure() -> dict[str, Any]:
    """Return, by kind and rows written since, the milliseconds that the locks were held; a table built anew has no batches."""
    found: dict[str, Any] = {}
    with server() as (made, directory):
        for name in _UPS:
            for rows in SIZES:
                for ahead in (False, True) if name != "rebuilt" else (False,):
                    with database(made, "ahead") as url:
                        word = "before_them" if ahead else "under_locks"
                        held_ms = _held_ms(url, directory, name, rows, ahead=ahead)
                        found.setdefault(name, {}).setdefault(str(rows), {})[word] = held_ms
    return {"held_ms": found}


def _held_ms(url: str, directory: Path, name: str, rows: int, *, ahead: bool) -> float:
    up, column = _UPS[name]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, c int)")
        connection.execute("INSERT INTO t SELECT n, n FROM generate_series(1, %s) n", [2 * rows])
        connection.execute("VACUUM ANALYZE t")
        script = directory / "up.py"
        script.write_text(
            "import os, psycopg\n"
            f"psycopg.connect(os.environ['DATABASE_URL'], autocommit=True).execute({f'BEGIN; {up}; COMMIT'!r})\n"
        )
        Migrations(url).migrate([sys.executable, str(script)])
        connection.execute(f"UPDATE t SET {column} = {column} + 1 WHERE id <= {rows}".encode())
        link = DirectLink(connection)
        outcome = back.undo(link, journal.migrations(link)[-1:], patience_s=30, ahead=ahead)
    return round(outcome.seconds * 1000, 1)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
