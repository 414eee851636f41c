"""Two real servers, old and new; a database of its own, owned by a plain role, for each test; a proxy before it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from tests.command_line import Cli, Done
from tests.services.reversible import servers
from tests.services.reversible.raw import Raw
from tests.services.reversible.recording import Recorded
from tests.services.reversible.servers import EVERYTHING, VERSIONS, Server
from tests.services.reversible.tools import environment

from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.reversible.proxy.server import MISLEADING, Proxy
from backout.databases.postgres.reversible.proxy.upstream import Upstream
from backout.embedded.server import EmbeddedPostgres

_numbers = count(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Ask each claim on one of the two servers, by a turn that its name decides; `make kinds` asks on both.

    What is asked of one server alone, by name, stays.
    """
    if EVERYTHING:
        return
    of_claim: dict[str, list[pytest.Item]] = {}
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and callspec.params.get("server") in VERSIONS:
            name, _, asked = item.nodeid.partition("[")
            words = asked.removesuffix("]").split("-")
            if (version := str(callspec.params["server"])) in words:
                words.remove(version)
                of_claim.setdefault(f"{name}[{'-'.join(words)}]", []).append(item)
    left_out = {
        found[1 - crc32(claim.encode()) % 2]
        for claim, found in of_claim.items()
        if len(found) == len(VERSIONS)
    }
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def server_of(
    tmp_path_factory: pytest.TempPathFactory, require_service: Callable[[str], None]
) -> Iterator[Callable[[int], Server]]:
    """Give a version's server: each is started when first asked for and stays, as tests ask for them by turns."""
    require_service("postgres")
    with ExitStack() as started:

        @cache
        def serving(version: int) -> Server:
            return started.enter_context(servers.server(version, tmp_path_factory.mktemp("server")))

        yield serving


@pytest.fixture(params=VERSIONS)
def server(request: pytest.FixtureRequest, server_of: Callable[[int], Server]) -> Server:
    """Give a server; what a test commits there it takes away again."""
    return server_of(request.param)


@pytest.fixture
def postgres(server: Server) -> EmbeddedPostgres:
    return server.postgres


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


@contextmanager
def made_in(postgres: EmbeddedPostgres) -> Iterator[Database]:
    name = f"app{next(_numbers)}"
    with closing(psycopg.connect(postgres.superuser_url, autocommit=True)) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER collector").format(sql.Identifier(name)))
        made = Database(postgres.url.rsplit("/", 1)[0] + f"/{name}")
        yield made
        made.close()
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[Database]:
    with made_in(postgres) as made:
        yield made


@pytest.fixture
def second(postgres: EmbeddedPostgres) -> Iterator[Database]:
    """Another one, for comparison."""
    with made_in(postgres) as made:
        yield made


@pytest.fixture
def url(database: Database) -> str:
    """The database, empty, as its owner."""
    return database.url


@pytest.fixture
def typed(database: Database, tmp_path: Path) -> Callable[..., Done]:
    """Type a command of backout in a folder of its own; the password is in none of its output."""
    cli = Cli(tmp_path, environment(database.url, {}))
    secret = str(conninfo_to_dict(database.url)["password"])

    def type_(*words: object, folder: Path | None = None, **env: str) -> Done:
        done = cli(*words, env=env, cwd=folder)
        assert secret not in done.everything
        return done

    return type_


@pytest.fixture
def told() -> Recorded:
    return Recorded()


@pytest.fixture
def proxy(url: str, told: Recorded) -> Iterator[Proxy]:
    with proxied(url, told) as made:
        yield made
    assert made.failures == []


@pytest.fixture
def t(url: str) -> str:
    """A table, seen directly."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    return url


@pytest.fixture
def raw(proxy: Proxy) -> Any:
    made = Raw(proxy.environment()["DATABASE_URL"])
    yield made
    made.close()


@contextmanager
def proxied(url: str, told: Recorded) -> Iterator[Proxy]:
    with Proxy(Upstream.of(url), told.keeper) as made:
        yield made


@pytest.fixture
def connect(proxy: Proxy) -> Iterator[Callable[..., psycopg.Connection[Any]]]:
    """Connect through the proxy, in autocommit."""
    opened = []

    def connecting(**settings: Any) -> psycopg.Connection[Any]:
        conninfo = proxy.environment()["DATABASE_URL"]
        opened.append(psycopg.connect(conninfo, **{"autocommit": True, **settings}))
        return opened[-1]

    yield connecting
    for connection in opened:
        connection.close()


@pytest.fixture
def psql(proxy: Proxy, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run psql through the proxy on a script, as users do."""
    return lambda script, *arguments: run_psql(proxy.environment(), script, *arguments)


def run_psql(environment: dict[str, str], script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k not in MISLEADING} | environment
    argv = ["psql", "-X", "--no-psqlrc", "-v", "VERBOSITY=verbose", *arguments]
    return subprocess.run(
        argv, input=script, env=env, capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def in_background(call: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Run something beside, and give the error that it ends with."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield raised
    thread.join(30)
    assert not thread.is_alive()
