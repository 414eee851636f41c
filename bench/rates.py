"""What a migration does to whole tables while it holds their locks, in rows a millisecond: what `backout check` estimates by."""

from __future__ import annotations

import json
import time
from typing import Any, LiteralString

import psycopg
from _servers import database, server

ROWS, ROUNDS = 1_000_000, 3
_FILL: tuple[LiteralString, ...] = (
    "CREATE TABLE other (id int PRIMARY KEY)",
    "INSERT INTO other SELECT n FROM generate_series(1, 1000) n",
    "CREATE TABLE orders (id bigint PRIMARY KEY, customer text NOT NULL, amount int NOT NULL, other int, note text)",
    "INSERT INTO orders SELECT n, 'customer ' || n % 500, n, 1 + n % 1000, 'a note of usual length' FROM generate_series(1, 1000000) n",
    "VACUUM ANALYZE orders",
)
_WORK: dict[str, LiteralString] = {
    "written anew": "ALTER TABLE orders ALTER amount TYPE bigint",
    "index": "CREATE INDEX ON orders (customer)",
    "proven": "ALTER TABLE orders ADD FOREIGN KEY (other) REFERENCES other",
    "rows written": "UPDATE orders SET amount = amount + 1",
}


def measure() -> dict[str, Any]:
    """Return, by kind of work, the smallest of three rates."""
    found: dict[str, Any] = {"rows": ROWS, "rounds": ROUNDS}
    with server() as (made, _):
        for name, statement in _WORK.items():
            found[name] = min(_rate(made, statement) for _ in range(ROUNDS))
    return found


def _rate(made: Any, statement: LiteralString) -> int:
    with database(made, "rates") as url, psycopg.connect(url, autocommit=True) as connection:
        for one in _FILL:
            connection.execute(one)
        begun_s = time.perf_counter()
        connection.execute(statement)
        return round(ROWS / (time.perf_counter() - begun_s) / 1000)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
