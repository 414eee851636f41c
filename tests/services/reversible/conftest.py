"""Two real servers, the oldest and the newest tried; a database of its own, owned by a plain role, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import psycopg
import pytest
from psycopg import sql

from backout.databases.postgres.reversible.link import DirectLink
from backout.demo import binaries
from backout.demo.children import Children
from backout.demo.postgres import EmbeddedPostgres

_SOURCES = {"15": binaries.system_binaries, "18": binaries.wheel_binaries}
_numbers = count(1)


@pytest.fixture(scope="session", params=sorted(_SOURCES))
def postgres(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("postgres")
    children = Children(folder / "run")
    found = _SOURCES[request.param](binaries.account())
    assert found is not None, "no PostgreSQL: apt-get install -y postgresql"
    server = EmbeddedPostgres(folder, children, binaries=found, fsync=False)
    server.start()
    yield server
    server.close()
    children.close()


@dataclass
class Database:
    """One database, and who owns it; closes what it opened."""

    url: str
    _opened: ExitStack = field(default_factory=ExitStack)

    def connect(self) -> psycopg.Connection[Any]:
        return self._opened.enter_context(closing(psycopg.connect(self.url, autocommit=True)))

    def link(self) -> DirectLink:
        """Open a session as the engine uses it."""
        return DirectLink(self.connect())

    def close(self) -> None:
        self._opened.close()


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[Database]:
    name = f"app{next(_numbers)}"
    with closing(psycopg.connect(postgres.superuser_url, autocommit=True)) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER collector").format(sql.Identifier(name)))
        made = Database(postgres.url.rsplit("/", 1)[0] + f"/{name}")
        yield made
        made.close()
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
