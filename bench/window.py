"""Steady writes while a migration can still be taken back, beside the same writes after the plain migration, in turns.

Three migrations: one that needs no trigger in the window (the last column is dropped), one that needs one for INSERT (a column before
others is dropped, which a write by position would reach), and one that needs one for UPDATE (a type is changed).
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any, LiteralString

import psycopg
from _servers import database, server

from backout.app.migrations import Migrations
from backout.embedded.server import EmbeddedPostgres

ROWS, WRITES, ROUNDS = 20_000, 2_000, 7
_FILL: tuple[LiteralString, ...] = (
    "CREATE TABLE orders (id bigint PRIMARY KEY, extra text, customer text NOT NULL, amount int NOT NULL, note text)",
    "INSERT INTO orders SELECT n, 'extra', 'customer ' || n % 500, n, 'note' FROM generate_series(1, 20000) n",
)
_UPS: dict[str, LiteralString] = {
    "no trigger": "ALTER TABLE orders DROP COLUMN note",
    "a trigger for INSERT": "ALTER TABLE orders DROP COLUMN extra",
    "a trigger for UPDATE": "ALTER TABLE orders ALTER COLUMN amount TYPE bigint",
}
_SCRIPT = (
    "import os, sys, psycopg\nwith psycopg.connect(os.environ['DATABASE_URL']) as c: c.execute(sys.argv[1])"
)


def measure() -> dict[str, Any]:
    """Return the median of the paired ratios of the seconds of writes, by migration and by kind of write."""
    with server() as (made, _):
        return {"writes": WRITES, "rounds": ROUNDS, **{name: _of(made, up) for name, up in _UPS.items()}}


def _of(made: EmbeddedPostgres, up: LiteralString) -> dict[str, float]:
    with database(made, "ours") as ours, database(made, "plain") as plain:
        for url in (ours, plain):
            with psycopg.connect(url, autocommit=True) as connection:
                for statement in _FILL:
                    connection.execute(statement)
                connection.execute("VACUUM ANALYZE")
        done = Migrations(ours).migrate([sys.executable, "-c", _SCRIPT, up])
        assert done.exit_status == 0, done
        pairs = []
        with psycopg.connect(ours, autocommit=True) as a, psycopg.connect(plain, autocommit=True) as b:
            b.execute(up)
            for number in range(ROUNDS):
                took = {one: _write(one, number) for one in ((a, b) if number % 2 else (b, a))}
                pairs.append((took[a], took[b]))
    return {
        "ratio": _ratio([(sum(one.values()), sum(other.values())) for one, other in pairs]),
        **{what: _ratio([(one[what], other[what]) for one, other in pairs]) for what in _WRITES},
    }


def _ratio(pairs: list[tuple[float, float]]) -> float:
    return round(statistics.median(one / other for one, other in pairs), 3)


_WRITES: dict[str, tuple[LiteralString, LiteralString]] = {
    "INSERT": ("INSERT INTO orders (id, customer, amount) VALUES (%s, 'since', 1)", "new"),
    "UPDATE of the column": ("UPDATE orders SET amount = amount + 1 WHERE id = %s", "there"),
    "UPDATE of another": ("UPDATE orders SET customer = 'other' WHERE id = %s", "there"),
    "DELETE": ("DELETE FROM orders WHERE id = %s", "new"),
}


def _write(connection: psycopg.Connection[Any], turn: int) -> dict[str, float]:
    """Insert, update and delete; return the seconds of each."""
    took = {}
    for what, (statement, which) in _WRITES.items():
        began_s = time.perf_counter()
        for number in range(WRITES // 4):
            key = (turn + 1) * 1_000_000 + number if which == "new" else number * 7 % ROWS + 1
            connection.execute(statement, (key,))
        took[what] = time.perf_counter() - began_s
    return took


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
