"""Blue and green behind a real HAProxy, or nginx: requests go back to the earlier side, the schema with them, and none fails."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.stories.blue_green import Shop, with_schema

from backout import Backout, Request
from backout.observed import Answer
from backout.routers.haproxy import HaproxyRouter
from backout.testing.steps import wait_until
from backout.testing.traffic import SteadyLoad, tunnel

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, require_service: Callable[[str], None]
) -> Iterator[Shop]:
    kind = getattr(request, "param", "haproxy")
    require_service(kind)
    with with_schema(tmp_path, kind) as shop:
        yield shop


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

    def told() -> dict[str, tuple[bool, bool]]:
        rows = shop.cli("releases", "--json").ended(0).json["rows"]
        return {row["release"]["version"]: (row["current"], bool(row["quarantined"])) for row in rows}

    # What runs is looked at for a second only: on a busy machine it may not be known.
    wait_until(lambda: told() == {"v1": (True, False), "v2": (False, True)})


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
    shop.configure(('"state_file":', '"drain_timeout_s": 1, "state_file":'))
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


def test_a_canary_loses_its_requests_and_is_stopped_before_what_it_needs_goes(shop: Shop) -> None:
    """It has a new column, and workers that write without requests; the earlier release has most of the requests."""
    shop.migrate("ALTER TABLE orders ADD COLUMN extra text NOT NULL DEFAULT 'x'")
    shop.router.shift({"blue": 75, "green": 25})
    with Backout.from_config(shop.cli.directory / "backout.yaml", shop.cli.environ) as backout:
        told = {f.rule: str(f.evidence) for f in backout.plan(Request(to="v1")).findings}
        assert "What runs on green (v2) goes on writing" in told["plan.left-running"]
    off = shop.running["green"].off = shop.cli.directory / "green-off"
    commands = f"start: [rm, -f, {off}], stop: [touch, {off}], installed: [echo, v2]"
    shop.configure(("green: {version_url", f"green: {{{commands}, version_url"))
    with SteadyLoad(shop.proxy.port) as load:
        load.goes_on()
        killed = shop.cli("run", "--to", "v1", "--yes", env={"BACKOUT_FAULT": "sides.stop.after"})
        assert killed.code == -signal.SIGKILL
        done = shop.cli("resume")
        load.goes_on()
    assert done.code in (0, 9), done.everything
    assert (load.total.failed, shop.shares, off.exists()) == ([], {"blue": 100, "green": 0}, True)
    with Backout.from_config(shop.cli.directory / "backout.yaml", shop.cli.environ) as backout:
        run = backout.status()
        assert not any(f.rule == "plan.left-running" for f in run.plan.findings)
    kinds = [step.spec.kind for step in run.plan.steps]
    assert kinds[1:7] == [
        "migrations.back", "sides.ready", "sides.shift", "sides.drain", "sides.stop", "migrations.back",
    ]  # fmt: skip
    assert shop.rows("SELECT id, note FROM orders") == [(1, "before")]
