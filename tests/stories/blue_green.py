"""The stage of stories with sides: services behind a real HAProxy or nginx, with a database or without."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from tests.command_line import Cli
from tests.haproxy import Haproxy, haproxy
from tests.nginx import Nginx, nginx
from tests.sides import Side, sides

from backout.children import Children
from backout.embedded.server import EmbeddedPostgres
from backout.testing.traffic import ShiftingRouter

SERVERS = {"blue": ("blue1",), "green": ("green1",)}
CONFIG = """\
service: shop
environment: production
platform:
  kind: sides
  drain_timeout_s: 2
  sides:
    blue: {{version_url: "http://127.0.0.1:{blue}/version", ready_url: "http://127.0.0.1:{blue}/ready"}}
    green: {{version_url: "http://127.0.0.1:{green}/version", ready_url: "http://127.0.0.1:{green}/ready"}}
router: {router}
checks:
  - {{kind: http, name: health, url: "http://127.0.0.1:{front}/health", version_json: version}}
  - {{kind: probes, name: asking, url: "http://127.0.0.1:{front}/", count: 80, per_second: 400, max_error_rate: 0.1, max_p95_ms: 20000}}
"""
_DATABASE = """\
database:
  kind: postgres
  url: ${DATABASE_URL}
"""
_RUNS = "import os, sys, psycopg; psycopg.connect(os.environ['DATABASE_URL'], autocommit=True).execute(sys.argv[1])"


@dataclass(frozen=True)
class Shop:
    """v1 is on blue, v2 on green."""

    cli: Cli
    proxy: Haproxy | Nginx
    router: ShiftingRouter
    running: dict[str, Side]
    url: str

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    def migrate(self, statement: str) -> None:
        """Run a migration of v2."""
        self.cli("migrate", "--release", "v2", "--", sys.executable, "-c", _RUNS, statement).ended(0)

    @property
    def shares(self) -> dict[str, int]:
        return self.router.traffic(5).shares

    def configure(self, *changes: tuple[str, str]) -> None:
        """Change `backout.yaml`."""
        config = self.cli.directory / "backout.yaml"
        text = config.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        config.write_text(text)


@contextmanager
def _router(
    kind: str, folder: Path, ports: dict[str, int]
) -> Iterator[tuple[Haproxy | Nginx, ShiftingRouter, dict[str, object]]]:
    """Give a running proxy, its router, and what stands of it in backout.yaml."""
    if kind == "nginx":
        with nginx(folder, {name: (port,) for name, port in ports.items()}) as made:
            yield made, made.router(), {"kind": "nginx", **made.told}
    else:
        with haproxy(folder, {own[0]: ports[name] for name, own in SERVERS.items()}) as proxy:
            yield proxy, proxy.router(SERVERS), {"kind": "haproxy", **proxy.told, "sides": SERVERS}


@contextmanager
def behind(kind: str, folder: Path, database_url: str | None = None) -> Iterator[Shop]:
    """Give the stage behind a router of a kind; blue gets all requests, and v1 is recorded as good."""
    with ExitStack() as stack:
        running = stack.enter_context(sides("blue", "green"))
        running["blue"].version, running["green"].version = "v1", "v2"
        ports = {name: one.port for name, one in running.items()}
        proxy, router, told = stack.enter_context(_router(kind, folder, ports))
        config = CONFIG.format(front=proxy.port, router=json.dumps(told), **ports)
        (folder / "backout.yaml").write_text(config + (_DATABASE if database_url else ""))
        environ = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "XDG_STATE_HOME": str(folder / "xdg")}
        if database_url:
            environ["DATABASE_URL"] = database_url
        shop = Shop(Cli(folder, environ), proxy, router, running, database_url or "")
        shop.router.shift({"blue": 100, "green": 0})
        shop.cli("record", "--state", "good").ended(0)
        yield shop


@contextmanager
def with_schema(folder: Path, kind: str = "haproxy") -> Iterator[Shop]:
    """Give the stage with green getting all requests; v2 came with a migration that v1 cannot do with."""
    children = Children(folder / "postgres-run")
    server = EmbeddedPostgres(folder / "postgres", children, fsync=False)
    with closing(children), closing(server):
        server.start()
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE orders (id serial PRIMARY KEY, note text NOT NULL DEFAULT 'none')"
            )
            connection.execute("INSERT INTO orders (note) VALUES ('before')")
        with behind(kind, folder, server.url) as shop:
            shop.migrate("ALTER TABLE orders DROP COLUMN note")
            shop.router.shift({"blue": 0, "green": 100})
            shop.cli("record", "--state", "bad").ended(0)
            yield shop
