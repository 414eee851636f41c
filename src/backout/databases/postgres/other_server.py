"""The other server that backups are restored on: which of the service's databases are there, and what tells it from the first.

Only databases with a name that backout dated are looked for on it. One of the live database's own name may belong to
somebody else there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from backout.backup import stem
from backout.errors import BackoutError

if TYPE_CHECKING:
    import psycopg

    from backout.databases.postgres.connect import Connector

_ASK_S = 5.0
_THERE = "SELECT 1 FROM pg_database WHERE datname = %s"
# Source: PostgreSQL 15 documentation, 9.27.12 "Control Data Functions"; made by initdb, and every role may read it.
_IDENTITY = "SELECT system_identifier::text FROM pg_control_system()"


class OtherServer:
    """How to reach it, and what was found there."""

    def __init__(self, connector: Connector, maintenance_name: str) -> None:
        self.connector = connector
        self._maintenance = maintenance_name
        self._there: dict[str, bool] = {}

    def has(self, name: str, first: Connector) -> bool:
        """Return whether that database is on this server, and not on the first one; a new one is on neither.

        Where it was found is remembered: a database does not move.

        Raises:
            TargetUnreachable: This server does not answer, and the first one does not have it.
            CredentialsRefused: This server refused, and the first one does not have it.
        """
        if stem(name) == name:
            return False
        if name not in self._there:
            found = self._look(name, first)
            if found is None:
                return False
            self._there[name] = found
        return self._there[name]

    def _look(self, name: str, first: Connector) -> bool | None:
        try:
            if self._asked(self.connector, name):
                return True
        except BackoutError:
            if self._asked(first, name):
                return False
            raise
        return None

    @contextmanager
    def outside(self, server: Connector) -> Iterator[psycopg.Connection[Any]]:
        """Open a session to the maintenance database of one of both servers."""
        with server.to(self._maintenance).session(_ASK_S, autocommit=True) as connection:
            yield connection

    def _asked(self, server: Connector, name: str) -> bool:
        with self.outside(server) as connection:
            return connection.execute(_THERE, (name,)).fetchone() is not None


def identity(connection: psycopg.Connection[Any]) -> str:
    """Return what tells a server from others; its physical standbys have the same."""
    row = connection.execute(_IDENTITY).fetchone()
    return str(row[0]) if row else ""
