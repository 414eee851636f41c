"""A server of the version that most have, and databases that are copies of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count

import psycopg
import pytest
from psycopg import sql
from tests.services.reversible.conftest import database, postgres, second, server_of, typed
from tests.services.reversible.servers import Server

from backout.databases.postgres.inverse.catalog import connector_of
from backout.databases.postgres.inverse.made import Place
from backout.databases.postgres.reversible.parse import statements

__all__ = ["database", "postgres", "second", "server_of", "typed"]

_numbers = count(1)


@pytest.fixture
def server(server_of: Callable[[int], Server]) -> Server:
    return server_of(15)


@dataclass
class Bed:
    """Makes databases, and copies of them; takes all away at the end."""

    server: Server
    made: list[str] = field(default_factory=list)

    def database(self, like: str | None = None) -> str:
        """Return the URL of a new database, empty or as another one is."""
        name = f"inverse{next(_numbers)}"
        template = "" if like is None else f" TEMPLATE {like.rsplit('/', 1)[1]}"
        with closing(psycopg.connect(self.server.postgres.superuser_url, autocommit=True)) as admin:
            admin.execute(f"CREATE DATABASE {name} OWNER collector{template}".encode())
        self.made.append(name)
        return self.server.postgres.url.rsplit("/", 1)[0] + f"/{name}"

    def run(self, url: str, script: str) -> None:
        """Run a script, each statement alone."""
        with closing(psycopg.connect(url, autocommit=True)) as connection:
            for one in statements(script):
                connection.execute(one.text.encode())

    def place(self, url: str) -> Place:
        return Place(connector_of(url), connector_of(url))

    def close(self) -> None:
        with closing(psycopg.connect(self.server.postgres.superuser_url, autocommit=True)) as admin:
            for name in self.made:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def bed(server: Server) -> Iterator[Bed]:
    made = Bed(server)
    yield made
    made.close()
