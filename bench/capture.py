"""What logging rows adds to a migration that changes them, by kind of statement: through backout and plainly, in turns, and the way back.

Each pair has a new database with the same rows; what the command itself takes to start is in both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, LiteralString

import psycopg
from _servers import database, server

from backout.app.migrations import Migrations
from backout.embedded.server import EmbeddedPostgres

ROWS, ROUNDS = 100_000, 3
_FILL: tuple[LiteralString, ...] = (
    "CREATE TABLE orders (id bigint PRIMARY KEY, customer text NOT NULL, amount int NOT NULL, note text)",
    "INSERT INTO orders SELECT n, 'customer ' || n % 500, n, 'note' FROM generate_series(1, 100000) n",
    'CREATE TABLE lines (id bigint PRIMARY KEY, "order" bigint REFERENCES orders ON DELETE CASCADE)',
    "INSERT INTO lines SELECT n, n FROM generate_series(1, 100000) n",
    'CREATE INDEX ON lines ("order")',
    "CREATE TABLE seeds (id bigint PRIMARY KEY, name text)",
)
_UPS: dict[str, LiteralString] = {
    "UPDATE": "UPDATE orders SET amount = amount + 1",
    "UPDATE of a column of the migration": "ALTER TABLE orders ADD COLUMN total int; UPDATE orders SET total = amount",
    "DELETE": "DELETE FROM lines",
    "DELETE with a cascade": "DELETE FROM orders",
    "INSERT": "INSERT INTO seeds SELECT n, 'seed' FROM generate_series(1, 100000) n",
    "TRUNCATE": "TRUNCATE lines",
}
_SCRIPT = (
    "import os, sys, psycopg\nwith psycopg.connect(os.environ['DATABASE_URL']) as c: c.execute(sys.argv[1])"
)


def measure() -> dict[str, Any]:
    """Return, by kind of statement, the medians of the seconds and of their paired ratio, and the seconds of the way back."""
    with server() as (made, _):
        return {"rows": ROWS, "rounds": ROUNDS, **{name: _of(made, up) for name, up in _UPS.items()}}


def _of(made: EmbeddedPostgres, up: LiteralString) -> dict[str, float]:
    pairs, backs = [], []
    for _round in range(ROUNDS):
        with database(made, "ours") as ours, database(made, "plain") as plain:
            for url in (ours, plain):
                _fill(url)
            plainly_s = _seconds(partial(_plainly, plain, up))
            pairs.append((_seconds(partial(_through, ours, up)), plainly_s))
            backs.append(_seconds(partial(Migrations(ours).rollback, patience_s=60)))
    return {
        "plain_seconds": round(statistics.median(plain for _, plain in pairs), 2),
        "backout_seconds": round(statistics.median(ours for ours, _ in pairs), 2),
        "ratio": round(statistics.median(ours / plain for ours, plain in pairs), 2),
        "back_seconds": round(statistics.median(backs), 2),
    }


def _fill(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _FILL:
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE")


def _through(url: str, up: str) -> None:
    assert Migrations(url).migrate([sys.executable, "-c", _SCRIPT, up]).exit_status == 0


def _plainly(url: str, up: str) -> None:
    subprocess.run([sys.executable, "-c", _SCRIPT, up], check=True, env={**os.environ, "DATABASE_URL": url})


def _seconds(does: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    does()
    return time.perf_counter() - began_s


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
