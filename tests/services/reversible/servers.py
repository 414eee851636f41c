"""A PostgreSQL of each version that is served, with a plain owner role and roles to give things to."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from tests.conftest import NODE_TOOLS

from backout.children import Children
from backout.embedded.binaries import Binaries, account, system_binaries, wheel_binaries
from backout.embedded.server import EmbeddedPostgres

_Thing = TypeVar("_Thing")

VERSIONS = (15, 18)
SOURCES = {15: system_binaries, 18: wheel_binaries}


def by_turns(names: Iterable[str], first: int = VERSIONS[0]) -> list[tuple[int, str]]:
    """Give each its server, by turns: for what is the same question on each, and asked of many."""
    versions = cycle(VERSIONS if first == VERSIONS[0] else reversed(VERSIONS))
    return [(next(versions), name) for name in names]


EVERYTHING = bool(os.environ.get("BACKOUT_ALL_KINDS"))
"""Whether each test asks all that it can ask (`make kinds`), or its share (`make test`)."""


def share(things: Iterable[_Thing], part: int, parts: int) -> list[_Thing]:
    """Give one of so many tests its share of the things: what they ask of each is alike."""
    listed = list(things)
    return listed if EVERYTHING else listed[part::parts]


# `collector` owns the database and may give things to `other`.
_ROLES = """
CREATE ROLE reader NOLOGIN; CREATE ROLE other NOLOGIN; GRANT other TO collector;
GRANT CREATE ON DATABASE collector TO other"""


@dataclass(frozen=True)
class Server:
    version: int
    postgres: EmbeddedPostgres

    @contextmanager
    def connected(self, *, superuser: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """Give a session in the service's database, in autocommit."""
        url = self.postgres.superuser_url if superuser else self.postgres.url
        with psycopg.connect(url, dbname="collector", autocommit=True) as connection:
            yield connection


@contextmanager
def packed(version: int) -> Iterator[Binaries]:
    """Give a version's programs from its package for Node, where PostgreSQL's user can get at them; of 15 an earlier minor one."""
    package = NODE_TOOLS / f"node_modules/postgres-{version}"
    home = Path(tempfile.mkdtemp(prefix="backout-postgres-"))
    try:
        shutil.copytree(package / "native", home / "native")
        # What a package of npm cannot hold.
        for one in json.loads((package / "native/pg-symlinks.json").read_text()):
            link, there = home / one["target"], home / one["source"]
            link.symlink_to(os.path.relpath(there, link.parent))
        for path in [home, *home.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755)
        yield Binaries(home / "native/bin", "npm")
    finally:
        shutil.rmtree(home)


@contextmanager
def server(version: int, directory: Path, binaries: Binaries | None = None) -> Iterator[Server]:
    binaries = binaries or SOURCES[version](account())
    assert binaries is not None, f"no PostgreSQL {version}"
    children = Children(directory / "run")
    postgres = EmbeddedPostgres(directory, children, binaries=binaries, fsync=False)
    try:
        postgres.start()
        made = Server(version, postgres)
        with made.connected(superuser=True) as connection:
            assert connection.info.server_version // 10000 == version
            connection.execute(_ROLES)
            connection.execute("SET allow_in_place_tablespaces = on")
            connection.execute("CREATE TABLESPACE elsewhere LOCATION ''")
            connection.execute("GRANT CREATE ON TABLESPACE elsewhere TO collector")
        yield made
    finally:
        postgres.close()
        children.close()
