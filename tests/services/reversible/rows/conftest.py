"""Servers of both PostgreSQL versions, and for each test a database of its own with the sessions of a migration."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import psycopg
import pytest
from tests.services.reversible.rows.bed import Bed

from backout.children import Children
from backout.embedded import binaries
from backout.embedded.server import EmbeddedPostgres

_SOURCES = {"15": binaries.system_binaries, "18": binaries.wheel_binaries}
_numbers = count(1)


@pytest.fixture(scope="session", params=list(_SOURCES))
def rows_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedPostgres]:
    directory = tmp_path_factory.mktemp(f"rows-{request.param}")
    found = _SOURCES[request.param](binaries.account())
    assert found is not None
    children = Children(directory)
    server = EmbeddedPostgres(directory, children, binaries=found, fsync=False)
    server.start()
    yield server
    server.close()
    children.close()


@pytest.fixture
def bed(rows_server: EmbeddedPostgres) -> Iterator[Bed]:
    """A database of a plain role, with the tables of the row log."""
    name = f"rows{next(_numbers)}"
    opened: list[psycopg.Connection[Any]] = []

    def connect(url: str) -> psycopg.Connection[Any]:
        opened.append(psycopg.connect(url, autocommit=True))
        return opened[-1]

    owner = connect(rows_server.maintenance_url)
    owner.execute(f"CREATE DATABASE {name}".encode())
    made = Bed(
        lambda: connect(rows_server.url.rsplit("/", 1)[0] + f"/{name}"),
        lambda: connect(rows_server.superuser_url.rsplit("/", 1)[0] + f"/{name}"),
    )
    yield made
    for connection in reversed(opened[1:]):
        connection.close()
    with psycopg.connect(rows_server.superuser_url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    owner.close()
