"""Two sessions, one in the kept database and one in the live one; and rows that are read as they come."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.rows.digest import CANONICAL
from backout.errors import NotPossible, UsageError
from backout.message import msg

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from backout.databases.postgres.connect import Connector

ROWS_AT_ONCE = 5_000
_ONE_STATEMENT_S = 86_400.0
# While one side sorts the other one waits inside its transaction.
_MAY_WAIT_MS = 3_600_000
_SORT_MEMORY = "64MB"
_CANCEL_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sessions; `utf8`: both databases store text as UTF-8."""

    kept: psycopg.Connection[Any]
    live: psycopg.Connection[Any]
    utf8: bool


@contextmanager
def snapshots(connector: Connector, kept: str) -> Iterator[Sides]:
    """Open a read-only snapshot of both databases; nothing is locked but against changes of the tables.

    No time limit for a statement holds here, since a big table takes as long as it takes; the one for locks does.
    Hazard: the live one's snapshot keeps VACUUM from removing what dies meanwhile.

    Raises:
        UsageError: There is no database of that name.
        NotPossible: It takes no connections.
    """
    with connector.session(_ONE_STATEMENT_S) as live:
        begin_reading(live)
        with connector.beside(kept, live) as there:
            check_open(there, kept, live.info.dbname)
        with connector.to(kept).session(_ONE_STATEMENT_S) as other:
            begin_reading(other)
            yield Sides(kept=other, live=live, utf8=encodings_are_utf8(other, live))


def check_open(there: psycopg.Connection[Any], kept: str, live: str) -> None:
    """Raise unless the kept database is there, takes connections, and is not the live one; `there` is a session with its server."""
    row = there.execute("SELECT datallowconn FROM pg_database WHERE datname = %s", (kept,)).fetchone()
    unchanged = msg("Nothing was changed.")
    if row is None or kept == live:
        raise UsageError(
            msg("There is no kept database {database}.", database=kept)
            if row is None
            else msg("{database} is the live database itself.", database=kept),
            state=unchanged,
            next_command="backout status",
        )
    if not row[0]:
        raise NotPossible(
            msg("The kept database {database} takes no connections now.", database=kept),
            state=unchanged,
            next_command="backout status",
        )


def begin_reading(connection: psycopg.Connection[Any]) -> None:
    """Begin a read-only snapshot in which texts of values are canonical."""
    import psycopg

    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    set_local(connection, CANONICAL | patience())


def patience() -> dict[str, str]:
    """Return the settings of a session that reads whole tables."""
    return {
        "statement_timeout": "0",
        "idle_in_transaction_session_timeout": str(_MAY_WAIT_MS),
        "work_mem": _SORT_MEMORY,
        # All rows are read: the plan for the first ones would carry whole rows through the sort.
        "cursor_tuple_fraction": "1",
    }


def set_local(connection: psycopg.Connection[Any], settings: dict[str, str]) -> None:
    """Make settings for the transaction that begins with this, or is open."""
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, true)", (name, value))


def encodings_are_utf8(*connections: psycopg.Connection[Any]) -> bool:
    """Return whether all these databases store text as UTF-8."""
    return all(c.info.parameter_status("server_encoding") == "UTF8" for c in connections)


class Stream:
    """The rows of a query, a few thousand in memory at a time; the next ones are fetched while these are used."""

    def __init__(
        self, connection: psycopg.Connection[Any], query: sql.Composed, pool: ThreadPoolExecutor
    ) -> None:
        self._connection, self._pool = connection, pool
        self._cursor = connection.cursor("backout_rows", binary=True)
        self._ahead: Future[list[tuple[Any, ...]]] = pool.submit(self._begin, query)

    def _begin(self, query: sql.Composed) -> list[tuple[Any, ...]]:
        self._cursor.execute(query)
        return self._cursor.fetchmany(ROWS_AT_ONCE)

    def batches(self) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows as lists."""
        while rows := self._ahead.result():
            self._ahead = self._pool.submit(self._cursor.fetchmany, ROWS_AT_ONCE)
            yield rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for rows in self.batches():
            yield from rows

    def close(self) -> None:
        """End what is under way; the connection is nobody else's afterwards."""
        import psycopg

        if not self._ahead.done():
            self._connection.cancel_safe(timeout=_CANCEL_WITHIN_S)
            wait([self._ahead])
        try:
            self._cursor.close()
        except psycopg.Error:
            self._cursor.close()  # the session is gone, and with it the server's part


@contextmanager
def streams(
    *queries: tuple[psycopg.Connection[Any], sql.Composed | None],
) -> Iterator[list[Iterator[tuple[Any, ...]]]]:
    """Run queries at the same time, each on a connection of its own; no query: no rows."""
    with ThreadPoolExecutor(max_workers=max(1, len(queries))) as pool:
        opened: list[Stream] = []
        try:
            rows: list[Iterator[tuple[Any, ...]]] = []
            for connection, query in queries:
                if query is None:
                    rows.append(iter(()))
                else:
                    opened.append(Stream(connection, query, pool))
                    rows.append(iter(opened[-1]))
            yield rows
        finally:
            for stream in opened:
                stream.close()
