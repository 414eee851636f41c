"""A release that drops a column and a table and changes a type, undone under steady writes: time, locks and clients, by table size.

Beside it, each on a database of its own with the same rows and the same clients: `alembic downgrade`, which brings the
structure back and loses what was in the column and the table, and `pg_restore -j` of the tables from a dump, which loses what
was written since. Statements of the clients are valid on both schemas. One client lets the server prepare them: PostgreSQL
refuses such a statement once after the type of a column it reads changes (0A000), with the plain tool too; that is counted apart.

Sizes: BACKOUT_BENCH_UNDO_ROWS=10000,100000,1000000 (10000000 takes about a quarter of an hour).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from _servers import database, server
from psycopg import sql

from backout.app.migrations import Migrations
from backout.embedded.server import EmbeddedPostgres

SIZES = [int(n) for n in os.environ.get("BACKOUT_BENCH_UNDO_ROWS", "10000,100000,1000000").split(",")]
SINCE = 1000
_PER_SECOND = 50.0
_SETTLE_S = 1.0
_FILL: tuple[LiteralString, ...] = (
    "CREATE TABLE orders (id bigint PRIMARY KEY, customer text NOT NULL, amount int NOT NULL, note text)",
    "CREATE TABLE audit (id bigint PRIMARY KEY, told text NOT NULL)",
    "INSERT INTO orders SELECT n, 'customer ' || n % 5000, n % 1000, 'note ' || n FROM generate_series(1, {rows}) n",
    "INSERT INTO audit SELECT n, md5(n::text) FROM generate_series(1, {rows} / 10) n",
    "CREATE INDEX orders_customer ON orders (customer)",
)
_UP: tuple[LiteralString, ...] = (
    "ALTER TABLE orders DROP COLUMN note",
    "DROP TABLE audit",
    "ALTER TABLE orders ALTER COLUMN amount TYPE bigint",
)
_ALEMBIC = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = "one", None
def upgrade():
    op.drop_column("orders", "note")
    op.drop_table("audit")
    op.alter_column("orders", "amount", type_=sa.BigInteger())
def downgrade():
    op.alter_column("orders", "amount", type_=sa.Integer())
    op.create_table("audit", sa.Column("id", sa.BigInteger(), primary_key=True), sa.Column("told", sa.Text(), nullable=False))
    op.add_column("orders", sa.Column("note", sa.Text()))
"""
_ALEMBIC_ENV = """
import os
from alembic import context
import sqlalchemy as sa
engine = sa.create_engine(os.environ["URL"])
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


def measure() -> dict[str, Any]:
    """Return, by rows, what each way took and what its clients met."""
    with server() as (made, directory):
        found = {str(rows): _size(made, directory, rows) for rows in SIZES}
    largest_over_smallest = {}
    for name in ("switched_seconds", "seconds"):
        first, last = (found[str(rows)]["backout"][name] for rows in (SIZES[0], SIZES[-1]))
        largest_over_smallest[name] = round(last / first, 2)
    return {"since": SINCE, "by_rows": found, "largest_over_smallest": largest_over_smallest}


def _size(made: EmbeddedPostgres, directory: Path, rows: int) -> dict[str, Any]:
    ways: dict[str, Callable[[str, Path], _Way]] = {
        "backout": _Backout,
        "alembic": _Alembic,
        "pg_restore": _Restore,
    }
    found = {}
    with database(made, "filled") as filled:
        with psycopg.connect(filled, autocommit=True) as connection:
            for statement in _FILL:
                connection.execute(sql.SQL(statement).format(rows=sql.Literal(rows)))
            connection.execute("VACUUM ANALYZE")
        for name, make in ways.items():
            with database(made, name, template="filled") as url:
                found[name] = _measured(make(url, directory / f"{name}-{rows}"), url, rows)
    return found


def _measured(way: _Way, url: str, rows: int) -> dict[str, Any]:
    began_s = time.perf_counter()
    way.up()
    up_s = time.perf_counter() - began_s
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO orders (id, customer, amount) SELECT -n, 'since', n FROM generate_series(1, %s) n",
            (SINCE,),
        )
    clients = [_Client(url, prepares) for prepares in (False, True)]
    for client in clients:
        client.start()
    time.sleep(_SETTLE_S)
    began_s = time.perf_counter()
    told = way.down()
    seconds = time.perf_counter() - began_s
    time.sleep(_SETTLE_S)
    for client in clients:
        client.end()
    with psycopg.connect(url) as connection:
        kept = connection.execute("SELECT count(*) FROM orders WHERE customer = 'since'").fetchone()
        notes = connection.execute(
            "SELECT count(note) FROM orders WHERE id BETWEEN 1 AND %s", (rows,)
        ).fetchone()
        audit = connection.execute("SELECT count(*) FROM audit").fetchone()
    plain, prepared = clients
    return {
        "up_seconds": round(up_s, 2),
        "seconds": round(seconds, 3),
        **told,
        "statements": len(plain.seconds) + len(prepared.seconds),
        "failed": len(plain.failures) + sum(code != "0A000" for code in prepared.failures),
        "failed_as_prepared": sum(code == "0A000" for code in prepared.failures),
        "slowest_statement_seconds": round(max(plain.seconds + prepared.seconds), 3),
        "rows_lost_of_since": SINCE - kept[0] if kept else None,
        "values_lost": rows - notes[0] if notes else None,
        "rows_lost_of_the_table": rows // 10 - audit[0] if audit else None,
    }


class _Way(ABC):
    """A way up and back on one database.

    Args:
        url: The database.
        folder: For files; new.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        folder.mkdir()

    @abstractmethod
    def up(self) -> None:
        """Migrate."""

    @abstractmethod
    def down(self) -> dict[str, Any]:
        """Undo; return what is known besides the time."""


class _Backout(_Way):
    def up(self) -> None:
        script = "import os, sys, psycopg\nwith psycopg.connect(os.environ['DATABASE_URL']) as c:\n  [c.execute(s) for s in sys.argv[1:]]"
        done = Migrations(self.url).migrate([sys.executable, "-c", script, *_UP])
        assert done.exit_status == 0, done

    def down(self) -> dict[str, Any]:
        began_s = time.perf_counter()
        with ThreadPoolExecutor() as beside:
            there = beside.submit(self._there_s)
            done = Migrations(self.url).rollback(patience_s=60)
            assert not done.unfinished, done
            switched_s = there.result() - began_s
        return {"switched_seconds": round(switched_s, 3), "locks_held_seconds": round(done.seconds, 3)}

    def _there_s(self) -> float:
        """Return when the earlier schema was there for everybody: constraints are proven after that."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            while True:
                try:
                    connection.execute("SELECT note FROM orders LIMIT 0")
                    return time.perf_counter()
                except psycopg.errors.UndefinedColumn:
                    time.sleep(0.002)


class _Alembic(_Way):
    def up(self) -> None:
        (self.folder / "versions").mkdir()
        (self.folder / "versions" / "one.py").write_text(_ALEMBIC)
        (self.folder / "env.py").write_text(_ALEMBIC_ENV)
        (self.folder / "alembic.ini").write_text(f"[alembic]\nscript_location = {self.folder}\n")
        self._alembic("upgrade", "head")

    def down(self) -> dict[str, Any]:
        self._alembic("downgrade", "base")
        return {}

    def _alembic(self, *words: str) -> None:
        command = [sys.executable, "-m", "alembic", "-c", str(self.folder / "alembic.ini"), *words]
        url = self.url.replace("postgresql://", "postgresql+psycopg://", 1)
        subprocess.run(command, check=True, env={**os.environ, "URL": url}, capture_output=True)


class _Restore(_Way):
    """A dump is made before; the tables are dropped and restored: nobody can use them meanwhile."""

    def up(self) -> None:
        _program(
            "pg_dump", "-Fd", "-j2", "-t", "orders", "-t", "audit", "-f", str(self.folder / "dump"), self.url
        )
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in _UP:
                connection.execute(statement)

    def down(self) -> dict[str, Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP TABLE orders")
        _program("pg_restore", "-j2", "-d", self.url, str(self.folder / "dump"))
        return {}


class _Client(threading.Thread):
    """Sends statements that are valid on both schemas, as steadily as it can."""

    def __init__(self, url: str, prepares: bool) -> None:
        super().__init__(daemon=True)
        self._url, self._ending, self._prepares = url, threading.Event(), prepares
        self.seconds: list[float] = []
        self.failures: list[str] = []

    def run(self) -> None:
        with psycopg.connect(
            self._url, autocommit=True, prepare_threshold=1 if self._prepares else None
        ) as connection:
            number = 0
            while not self._ending.wait(1 / _PER_SECOND):
                number += 1
                for statement, values in self._statements(number):
                    self._send(connection, statement, values)

    def _statements(self, number: int) -> Iterator[tuple[LiteralString, tuple[Any, ...]]]:
        key = (2 if self._prepares else 1) * 10**12 + number
        yield "INSERT INTO orders (id, customer, amount) VALUES (%s, 'steady', 1)", (key,)
        yield "UPDATE orders SET amount = amount + 1 WHERE id = %s", (number % 1000 + 1,)
        yield "SELECT amount FROM orders WHERE id = %s", (number % 1000 + 1,)

    def _send(
        self, connection: psycopg.Connection[Any], statement: LiteralString, values: tuple[Any, ...]
    ) -> None:
        began_s = time.perf_counter()
        try:
            connection.execute(statement, values)
        except psycopg.Error as error:
            self.failures.append(error.sqlstate or "none")
        self.seconds.append(time.perf_counter() - began_s)

    def end(self) -> None:
        self._ending.set()
        self.join()


def _program(name: str, *words: str) -> None:
    subprocess.run([name, *words], check=True, capture_output=True)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
