"""A server with one database for each state of a history; a copy of a database has the same oids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from tests.services.reversible import servers

from backout.databases.postgres.reversible.fingerprint import Print, read_print
from backout.databases.postgres.reversible.link import DirectLink
from backout.embedded.server import EmbeddedPostgres

VERSION = 15
_END_MS = 30_000
_PATIENCE = "-c lock_timeout=30s"


class Ground:
    """Makes, copies and drops databases, all owned by a plain role."""

    def __init__(self, postgres: EmbeddedPostgres, admin: psycopg.Connection[Any]) -> None:
        self._postgres, self._admin = postgres, admin

    @property
    def version(self) -> str:
        """Of the server."""
        number = self._admin.info.server_version
        return f"{number // 10000}.{number % 10000}"

    def url(self, name: str) -> str:
        """Return how the owner reaches a database."""
        return f"{self._postgres.url.rsplit('/', 1)[0]}/{name}"

    def make(self, name: str, like: str | None = None) -> str:
        """Make a database, empty or as another one is, in the place of whatever has the name; return its URL."""
        self.drop(name)
        if like:
            self._end_sessions(like)
        # Only what is never written by anybody else is read here: names of our own.
        template = (
            sql.SQL(" TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(like)) if like else sql.SQL("")
        )
        self._admin.execute(
            sql.SQL("CREATE DATABASE {} OWNER collector").format(sql.Identifier(name)) + template
        )
        return self.url(name)

    def drop(self, name: str) -> None:
        """Drop a database, if it is there."""
        self._admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def replace(self, name: str, by: str) -> None:
        """Have one database in the place of another."""
        self.drop(name)
        self._end_sessions(by)
        self._admin.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(by), sql.Identifier(name))
        )

    def _end_sessions(self, name: str) -> None:
        """End what is left in a database: on a busy machine a session ends some time after its client."""
        self._admin.execute(
            f"SELECT pg_terminate_backend(pid, {_END_MS}) FROM pg_stat_activity WHERE datname = %s".encode(),
            (name,),
        )

    @contextmanager
    def owner(self, name: str) -> Iterator[psycopg.Connection[Any]]:
        """Give a session as an application has it."""
        with closing(psycopg.connect(self.url(name), autocommit=True, options=_PATIENCE)) as connection:
            yield connection

    @contextmanager
    def reader(self, name: str) -> Iterator[psycopg.Connection[Any]]:
        """Give a session that no policy hides a row from."""
        url = self._postgres.superuser_url
        with closing(psycopg.connect(url, dbname=name, autocommit=True)) as connection:
            yield connection

    def schema(self, name: str) -> Print:
        """Read the whole schema, but for what backout has hidden."""
        with self.reader(name) as connection, connection.transaction():
            return read_print(DirectLink(connection))


@contextmanager
def ground(directory: Path) -> Iterator[Ground]:
    """Give a server of its own."""
    with (
        servers.server(VERSION, directory) as server,
        closing(psycopg.connect(server.postgres.superuser_url, autocommit=True)) as admin,
    ):
        # The databases are small: what is compiled for a query takes longer than the query.
        admin.execute("ALTER SYSTEM SET jit = off")
        admin.execute("SELECT pg_reload_conf()")
        yield Ground(server.postgres, admin)
