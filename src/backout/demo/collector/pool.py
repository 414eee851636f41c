"""A few database connections, shared by the request threads; broken ones are replaced by themselves."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import errors

Migration = tuple[str, LiteralString]

_LOCK_KEY = 53_540
_REPLACE = (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)


class DatabaseUnreachable(Exception):
    """No connection could be had, or the one in use broke twice."""


class WritesRefused(Exception):
    """The database answers but takes no writes."""


class Pool:
    """At most `size` connections in autocommit mode, made when needed.

    The schema is created with the first connection. Every statement is its own transaction and may be
    run twice when a connection breaks: callers write statements that allow it.
    """

    def __init__(self, url: str, name: str, migrations: Sequence[Migration], size: int = 8) -> None:
        self._url, self._name, self._migrations = url, name, migrations
        self._slots: queue.LifoQueue[psycopg.Connection[Any] | None] = queue.LifoQueue()
        self._prepared = False
        self._preparing = threading.Lock()
        for _ in range(size):
            self._slots.put(None)

    def rows(self, statement: LiteralString, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement, commit, and return its rows.

        Raises:
            DatabaseUnreachable: No connection, also not at the second try.
            WritesRefused: The database is read-only.
        """
        try:
            return self._once(statement, values)
        except _REPLACE:
            # The connection was idle when the database restarted or changed its mind; a new one decides.
            pass
        try:
            return self._once(statement, values)
        except errors.ReadOnlySqlTransaction as error:
            raise WritesRefused(str(error)) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise DatabaseUnreachable(str(error)) from error

    def prepare(self) -> None:
        """Create or migrate the schema unless that is done; raises `DatabaseUnreachable`."""
        self.rows("SELECT 1")

    def close(self) -> None:
        """Close the connections that are not in use."""
        while True:
            try:
                connection = self._slots.get_nowait()
            except queue.Empty:
                return
            if connection is not None:
                connection.close()

    def _once(self, statement: LiteralString, values: Sequence[object]) -> list[tuple[Any, ...]]:
        try:
            connection = self._slots.get(timeout=10)
        except queue.Empty:
            raise psycopg.OperationalError("all connections are busy") from None
        try:
            connection = connection or self._connect()
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []
        except _REPLACE:
            if connection is not None:
                connection.close()
            connection = None
            raise
        finally:
            self._slots.put(connection)

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=3,
            application_name=self._name,
            options="-c statement_timeout=10000 -c lock_timeout=5000",
        )
        try:
            with self._preparing:
                if not self._prepared:
                    migrate(connection, self._migrations)
                    self._prepared = True
        except BaseException:
            connection.close()
            raise
        return connection


def migrate(connection: psycopg.Connection[Any], migrations: Sequence[Migration]) -> None:
    """Apply the migrations that are missing, each once, also when several processes start together."""
    # Looks first: a database that is held read-only must not stop a release that needs no migration.
    if not _missing(connection, migrations):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])
        connection.execute(
            "CREATE TABLE IF NOT EXISTS collector_migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        for name, statement in _missing(connection, migrations):
            connection.execute(statement)
            connection.execute("INSERT INTO collector_migrations (name) VALUES (%s)", [name])


def _missing(connection: psycopg.Connection[Any], migrations: Sequence[Migration]) -> list[Migration]:
    there = connection.execute("SELECT to_regclass('collector_migrations') IS NOT NULL").fetchone()
    if there != (True,):
        return list(migrations)
    applied = {name for (name,) in connection.execute("SELECT name FROM collector_migrations")}
    return [(name, statement) for name, statement in migrations if name not in applied]
