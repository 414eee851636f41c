"""Blue and green behind a real HAProxy, or nginx: requests go back to the earlier side, the schema with them, and none fails."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from tests.command_line import Cli
from tests.haproxy import Haproxy, haproxy
from tests.nginx import Nginx, nginx
from tests.sides import Side, sides

from backout.children import Children
from backout.embedded.server import EmbeddedPostgres
from backout.observed import Answer
from backout.routers.haproxy import HaproxyRouter
from backout.testing.steps import wait_until
from backout.testing.traffic import ShiftingRouter, SteadyLoad, tunnel

pytestmark = pytest.mark.slow

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
database:
  kind: postgres
  url: ${{DATABASE_URL}}
checks:
  - {{kind: http, name: health, url: "http://127.0.0.1:{front}/health", version_json: version}}
  - {{kind: probes, name: asking, url: "http://127.0.0.1:{front}/", count: 80, per_second: 400, max_error_rate: 0.1, max_p95_ms: 20000}}
"""
_RUNS = "import os, sys, psycopg; psycopg.connect(os.environ['DATABASE_URL'], autocommit=True).execute(sys.argv[1])"


@dataclass(frozen=True)
class Shop:
    """v1 is on blue, v2 on green, and green gets all requests; v2 came with a migration that v1 cannot do with."""

    cli: Cli
    proxy: Haproxy | Nginx
    router: ShiftingRouter
    running: dict[str, Side]
    url: str

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    @property
    def shares(self) -> dict[str, int]:
        return self.router.traffic(5).shares


@contextmanager
def behind(
    router: str, folder: Path, ports: dict[str, int]
) -> Iterator[tuple[Haproxy | Nginx, ShiftingRouter, dict[str, object]]]:
    """Give a running proxy, its router, and what stands of it in backout.yaml."""
    if router == "nginx":
        with nginx(folder, {name: (port,) for name, port in ports.items()}) as made:
            yield made, made.router(), {"kind": "nginx", **made.told}
    else:
        with haproxy(folder, {own[0]: ports[name] for name, own in SERVERS.items()}) as proxy:
            yield proxy, proxy.router(SERVERS), {"kind": "haproxy", **proxy.told, "sides": SERVERS}


@pytest.fixture
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, require_service: Callable[[str], None]
) -> Iterator[Shop]:
    which = getattr(request, "param", "haproxy")
    require_service(which)
    children = Children(tmp_path / "postgres-run")
    server = EmbeddedPostgres(tmp_path / "postgres", children, fsync=False)
    with closing(children), closing(server), sides("blue", "green") as running:
        server.start()
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE orders (id serial PRIMARY KEY, note text NOT NULL DEFAULT 'none')"
            )
            connection.execute("INSERT INTO orders (note) VALUES ('before')")
        running["blue"].version, running["green"].version = "v1", "v2"
        ports = {name: one.port for name, one in running.items()}
        with behind(which, tmp_path, ports) as (proxy, router, told):
            config = CONFIG.format(front=proxy.port, router=json.dumps(told), **ports)
            (tmp_path / "backout.yaml").write_text(config)
            environ = {**os.environ, "DATABASE_URL": server.url, "NO_COLOR": "1", "COLUMNS": "200"}
            cli = Cli(tmp_path, environ)
            router.shift({"blue": 100, "green": 0})
            cli("record", "--state", "good").ended(0)
            drop = "ALTER TABLE orders DROP COLUMN note"
            cli("migrate", "--release", "v2", "--", sys.executable, "-c", _RUNS, drop).ended(0)
            router.shift({"blue": 0, "green": 100})
            cli("record", "--state", "bad").ended(0)
            yield Shop(cli, proxy, router, running, server.url)


@pytest.mark.parametrize("shop", ["haproxy", "nginx"], indirect=True)
def test_requests_and_schema_go_back_in_one_run_and_none_fails(shop: Shop) -> None:
    shop.rows("INSERT INTO orders DEFAULT VALUES RETURNING id")
    plan = shop.cli("plan").ended(0)
    assert "Divide requests so: blue=100 green=0." in plan.out
    with SteadyLoad(shop.proxy.port) as load:
        load.goes_on()
        done = shop.cli("run", "--yes")
        load.goes_on()
    assert done.code in (0, 9), done.everything
    assert "nothing that was written is lost" in done.everything
    assert (load.total.failed, shop.shares) == ([], {"blue": 100, "green": 0})
    assert shop.rows("SELECT id, note FROM orders ORDER BY id") == [(1, "before"), (2, "none")]
    shop.proxy.reload()
    assert shop.shares == {"blue": 100, "green": 0}
    rows = shop.cli("releases", "--json").ended(0).json["rows"]
    told = {row["release"]["version"]: (row["current"], bool(row["quarantined"])) for row in rows}
    assert told == {"v1": (True, False), "v2": (False, True)}


@pytest.mark.parametrize(
    ("shop", "point"),
    [
        ("haproxy", "haproxy.shift.before"),
        ("haproxy", "haproxy.shift.between"),
        ("haproxy", "haproxy.shift.after"),
        ("nginx", "nginx.change.tested"),
    ],
    indirect=["shop"],
)
def test_killed_at_the_router_it_is_taken_up_again_and_none_fails(shop: Shop, point: str) -> None:
    with SteadyLoad(shop.proxy.port) as load:
        load.goes_on()
        assert shop.cli("run", "--yes", env={"BACKOUT_FAULT": point}).code == -signal.SIGKILL
        load.goes_on()
        done = shop.cli("resume")
        load.goes_on()
    assert done.code in (0, 9), done.everything
    assert (load.total.failed, shop.shares) == ([], {"blue": 100, "green": 0})
    assert shop.router.traffic(5).kept is Answer.YES


def test_a_side_that_is_not_ready_stops_the_run_before_a_request_reaches_it(shop: Shop) -> None:
    shop.running["blue"].ready = False
    config = shop.cli.directory / "backout.yaml"
    config.write_text(
        config.read_text().replace("drain_timeout_s: 2", "drain_timeout_s: 2\n  ready_timeout_s: 1")
    )
    with SteadyLoad(shop.proxy.port) as load:
        load.goes_on()
        done = shop.cli("run", "--yes")
        done.refused(5, what=r"side blue is not ready: .* answers 503", now="v2", next="^backout resume run-")
        load.goes_on()
    assert (load.total.failed, set(load.total.by)) == ([], {"green"})
    shop.running["blue"].ready = True
    assert shop.cli("resume").code in (0, 9)
    assert shop.shares == {"blue": 100, "green": 0}


def test_a_haproxy_that_is_down_is_told_and_nothing_is_claimed(shop: Shop) -> None:
    shop.proxy.kill()
    done = shop.cli("run", "--yes")
    assert done.code in (3, 4), done.everything
    assert "HAProxy's runtime API" in done.everything and "did not answer" in done.everything
    assert shop.rows("SELECT count(*) FROM information_schema.columns WHERE column_name = 'note'") == [(0,)]
    doctor = shop.cli("doctor").ended(3)
    assert "FAIL  router haproxy" in doctor.out


def test_hold_answers_maintenance_at_haproxy(shop: Shop) -> None:
    shop.cli("hold", "--yes").ended(0)
    with SteadyLoad(shop.proxy.port) as load:
        wait_until(lambda: len(load.total.failed) > 40)
    assert (set(load.total.failed), load.total.by.total()) == ({"503"}, 0)
    shop.cli("release-hold").ended(0)
    with SteadyLoad(shop.proxy.port) as load:
        load.goes_on()
    assert (load.total.failed, set(load.total.by)) == ([], {"green"})


def test_a_hold_that_was_killed_while_a_websocket_was_open_is_finished_and_let_go(shop: Shop) -> None:
    config = shop.cli.directory / "backout.yaml"
    config.write_text(config.read_text().replace("  state_file:", "  drain_timeout_s: 1\n  state_file:"))
    with tunnel(shop.proxy.port) as websocket:
        env = {"BACKOUT_FAULT": "router.hold.after"}
        assert shop.cli("hold", "--yes", env=env).code == -signal.SIGKILL
        assert "router holds (maintenance), and requests are still inside" in shop.cli().everything
        done = shop.cli("resume").ended(0)
        assert "requests are answered 503; after 1.0 s, end what is inside" in done.everything
        assert websocket.recv(64) == b""
    shop.cli("release-hold").ended(0)
    with SteadyLoad(shop.proxy.port) as load:
        load.goes_on()
    assert (load.total.failed, set(load.total.by)) == ([], {"green"})


def test_when_no_side_gets_requests_the_way_back_is_there(shop: Shop) -> None:
    """Somebody shut both in a hurry."""
    assert isinstance(shop.router, HaproxyRouter)
    shop.router.runtime.order("set server app/green1 state maint", "set server app/green1 weight 0")
    plan = shop.cli("plan")
    assert "blue=100 green=0" in plan.out, plan.everything
    done = shop.cli("run", "--yes")
    assert done.code in (0, 9), done.everything
    assert shop.shares == {"blue": 100, "green": 0}
    with SteadyLoad(shop.proxy.port) as load:
        load.goes_on()
    assert (load.total.failed, set(load.total.by)) == ([], {"blue"})


def test_killed_at_the_router_it_is_undone_and_none_fails(shop: Shop) -> None:
    with SteadyLoad(shop.proxy.port) as load:
        load.goes_on()
        assert (
            shop.cli("run", "--yes", env={"BACKOUT_FAULT": "haproxy.shift.between"}).code == -signal.SIGKILL
        )
        done = shop.cli("abort", "--yes")
        load.goes_on()
    assert done.code in (0, 9), done.everything
    assert (load.total.failed, shop.shares) == ([], {"blue": 0, "green": 100})
