"""A stage whose service is switched to another database by a person's own command, on one server or on two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from tests.switch_command import write_switch

from backout.children import Children
from backout.demo.releases import BAD, GOOD
from backout.demo.stage import Stage
from backout.embedded.server import EmbeddedPostgres

from .conftest import _PROBES, Scene

_OWN = """
restore:
  reconnect_s: 0.5
  switch:
    run: [bin/use-database]
    probe: [bin/used-database]
    timeout_s: 30
"""
_SERVER = "    server: ${OTHER_DATABASE_URL}\n"
COMMAND = """\
platform:
  kind: command
  deploy: [bin/deploy, "{version}"]
  probe: [sh, -c, "basename $(readlink srv/collector/current)"]
"""
_INSERT = "INSERT INTO reports (id, tenant, body) VALUES (gen_random_uuid(), %s, 'x')"
_TENANTS = "SELECT tenant FROM reports WHERE tenant NOT LIKE 'smoke%' AND body = 'x' ORDER BY 1"
DAMAGED, RESTORED = ["", "", "", "since"], ["a", "b", "c"]


@dataclass
class Switched:
    """The stage with such a command, a backup of three rows, the bad release, and what was damaged since.

    Attributes:
        other: Another server, with a database of the service's name that is none of its own; None: there is only one.
    """

    scene: Scene
    other: EmbeddedPostgres | None = None

    @property
    def directory(self) -> Path:
        return self.scene.stage.directory

    @property
    def cli(self) -> Any:
        return self.scene.cli

    def run(self, *words: str, env: dict[str, str] | None = None) -> Any:
        return self.cli("run", "--scenario", "full", "--yes", *words, env=env)

    def used(self) -> str:
        text = (self.scene.stage.root / "shared" / "env").read_text()
        found = re.search(r"^DATABASE_URL=.*/(\w+)", text, re.MULTILINE)
        assert found
        return found[1]

    def url(self, database: str) -> str:
        """The database on the server that has it; the live one's name stands for the service's own."""
        there = self.other is not None and database != "collector" and database in self.names(self.other)
        server = self.other if there and self.other is not None else self.scene.stage.postgres
        return f"{server.url.rpartition('/')[0]}/{database}"

    @staticmethod
    def names(server: EmbeddedPostgres) -> list[str]:
        """The service's databases of a server that take connections."""
        with psycopg.connect(server.superuser_url) as connection:
            rows = connection.execute(
                "SELECT datname FROM pg_database WHERE datname LIKE 'collector%' AND datallowconn ORDER BY 1"
            ).fetchall()
        return [str(row[0]) for row in rows]

    def tenants(self, database: str | None = None) -> list[str]:
        with psycopg.connect(self.url(database or self.used())) as connection:
            return [row[0] for row in connection.execute(_TENANTS)]

    def write(self, tenant: str) -> None:
        with psycopg.connect(self.url(self.used()), autocommit=True) as connection:
            connection.execute(_INSERT, [tenant])

    def writable(self) -> list[str]:
        """Which databases a client may write into now."""
        names = self.names(self.scene.stage.postgres)
        if self.other is not None:
            names += [name for name in self.names(self.other) if name != "collector"]
        found = []
        for name in names:
            with psycopg.connect(self.url(name)) as connection:
                if connection.execute("SHOW transaction_read_only").fetchone() == ("off",):
                    found.append(name)
        return found

    def beside(self) -> dict[str, str]:
        found = self.cli("backup", "list", "--json").ended(0).json["beside"]
        return {d["name"]: d["state"] for d in found}

    @property
    def switches(self) -> int:
        log = self.directory / "switches.log"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def flag(self, name: str) -> Path:
        return self.directory / name

    def is_back(self) -> None:
        """The restored database is used and written, the other one kept and not written."""
        used = self.used()
        assert used.startswith("collector_restored_") and self.tenants() == RESTORED
        assert self.writable() == [used] and self.beside() == {"collector": "kept"}
        assert self.scene.stage.running_version() == GOOD and self.scene.state()["front"] == "pass"

    def is_as_before(self) -> None:
        assert self.used() == "collector" and self.tenants() == DAMAGED
        assert self.scene.stage.running_version() == BAD
        assert "collector" in self.writable() and self.scene.state()["front"] == "pass"


@contextmanager
def switched_stage(directory: Path, *, two: bool) -> Iterator[Switched]:
    """Make it; `two`: backups are restored on another server."""
    with Stage(directory / "stage", fsync=False) as stage, _other(directory, stage, two) as other:
        text = stage.config.read_text()
        for old, new in _PROBES.items():
            text = text.replace(old, new)
        stage.config.write_text(text.replace("\nrestore:\n", _OWN + (_SERVER if other else "")))
        write_switch(stage.directory / "bin")
        switched = Switched(Scene(stage), other)
        if other is not None:
            switched.cli.environ["OTHER_DATABASE_URL"] = other.maintenance_url
        stage.deploy(GOOD)
        with psycopg.connect(stage.database_url, autocommit=True) as live:
            live.execute("TRUNCATE reports")
        for tenant in RESTORED:
            switched.write(tenant)
        switched.cli("record").ended(0)
        with psycopg.connect(stage.database_url, autocommit=True) as live:
            live.execute("DELETE FROM reports WHERE body <> 'x'")
        switched.cli("backup", "create").ended(0)
        stage.deploy(BAD)
        switched.cli("record", "--state", "bad").ended(0)
        switched.write("since")
        with psycopg.connect(stage.database_url, autocommit=True) as live:
            live.execute("UPDATE reports SET tenant = '' WHERE tenant <> 'since' AND body = 'x'")
            live.execute("ANALYZE")
        stage.snapshot()
        yield switched


@contextmanager
def _other(directory: Path, stage: Stage, wanted: bool) -> Iterator[EmbeddedPostgres | None]:
    """Start another server whose role has the password of the first one's."""
    if not wanted:
        yield None
        return
    children = Children(directory / "other")
    server = EmbeddedPostgres(directory, children, fsync=False)
    server._password = stage.postgres._password
    try:
        server.start()
        with psycopg.connect(server.url) as stranger:
            stranger.execute("CREATE TABLE of_somebody_else (id int)")
        yield server
    finally:
        server.close()
        children.close()


@contextmanager
def as_it_was(made: Switched) -> Iterator[Switched]:
    """Bring the stage back to what it was at the beginning afterwards, the service's address too."""
    stage, env = made.scene.stage, made.scene.stage.root / "shared" / "env"
    address = env.read_text()
    config = stage.config.read_text()
    yield made
    for name in ("hang", "fail", "unsure", "third", "switches.log"):
        made.flag(name).unlink(missing_ok=True)
    env.write_text(address)
    stage.config.write_text(config)
    stage.reset()
    if made.other is not None:
        with psycopg.connect(made.other.superuser_url, autocommit=True) as admin:
            for name in made.names(made.other):
                if name != "collector":
                    admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
