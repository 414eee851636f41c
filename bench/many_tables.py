"""What backout adds to a migration where the schema has many tables: to a transaction, to its COMMIT, and to the whole command.

Every table has a primary key, another index, a default and a foreign key. The command runs transactions of one ALTER TABLE each, through
backout and plainly, in one run; the first one through backout reads all of the catalog.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
from _servers import database, server

from backout.app.migrations import Migrations

TABLES, TRANSACTIONS = (100, 1_000, 10_000), 10
_BATCH = 500
_SCRIPT = """
import json, os, sys, time
import psycopg
took = []
with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    for number in range(int(sys.argv[2])):
        began_s = time.perf_counter()
        connection.execute("BEGIN")
        connection.execute(f"ALTER TABLE t{number} ADD COLUMN {sys.argv[3]} text NOT NULL DEFAULT 'x'")
        before_s = time.perf_counter()
        connection.execute("COMMIT")
        ended_s = time.perf_counter()
        took.append([ended_s - began_s, ended_s - before_s])
with open(sys.argv[1], "w") as file:
    json.dump(took, file)
"""


def measure() -> dict[str, Any]:
    """Return, by number of tables, the seconds of transactions, COMMITs and the whole command, and of the way back."""
    with server() as (made, directory), database(made, "many") as url:
        (directory / "run.py").write_text(_SCRIPT)
        found, there = {}, 0
        for tables in TABLES:
            _make(url, there, tables)
            there = tables
            found[str(tables)] = {
                "plain": _run(url, directory, f"plain{tables}", through=False),
                "backout": _run(url, directory, f"ours{tables}", through=True),
                "back": _back(url),
            }
    return {"transactions": TRANSACTIONS, "by_tables": found}


def _make(url: str, first: int, last: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for at in range(first, last, _BATCH):
            connection.execute(
                "; ".join(
                    f"CREATE TABLE t{n} (id bigint PRIMARY KEY, a text NOT NULL DEFAULT 'a', b int, parent bigint REFERENCES t{max(0, n - 1)}); "
                    f"CREATE INDEX ON t{n} (a, b)"
                    for n in range(at, min(at + _BATCH, last))
                ).encode()
            )
        connection.execute("ANALYZE")


def _run(url: str, directory: Path, column: str, *, through: bool) -> dict[str, Any]:
    told = directory / "took.json"
    command = [sys.executable, str(directory / "run.py"), str(told), str(TRANSACTIONS), column]
    began_s = time.perf_counter()
    if through:
        done = Migrations(url).migrate(command)
        assert done.exit_status == 0, done
    else:
        subprocess.run(command, check=True, env={**os.environ, "DATABASE_URL": url})
    whole_s = time.perf_counter() - began_s
    took = json.loads(told.read_text())
    return {
        "first_transaction_ms": round(took[0][0] * 1000, 1),
        "transaction_ms": round(statistics.median(one for one, _ in took[1:]) * 1000, 1),
        "commit_ms": round(statistics.median(one for _, one in took[1:]) * 1000, 1),
        "command_seconds": round(whole_s, 2),
    }


def _back(url: str) -> dict[str, Any]:
    began_s = time.perf_counter()
    done = Migrations(url).rollback(patience_s=60)
    assert not done.unfinished, done
    return {
        "seconds": round(time.perf_counter() - began_s, 2),
        "locks_held_seconds": round(done.seconds, 3),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
