"""Blue and green behind a real Service: requests go back to the earlier side, and none fails."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import yaml
from tests.command_line import Cli

from backout.testing.steps import wait_until
from backout.testing.traffic import SteadyLoad
from testbed.node import Node

from .blue_green import PAGE, SIDES, BlueGreen

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stand(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlueGreen]:
    made = BlueGreen(node, tmp_path_factory.mktemp("sides"), replicas=2, lingers_s=2.5)
    yield made
    made.close()


def configured(stand: BlueGreen) -> Cli:
    own = {side: f"http://{stand.address(f'shop-{side}')}" for side in SIDES}
    service = f"http://{stand.address()}"
    told = {
        "service": "shop",
        "environment": "production",
        "platform": {
            "kind": "sides",
            "drain_timeout_s": 1,
            "sides": {side: {"version_url": f"{at}/version", "ready_url": f"{at}/ready"} for side, at in own.items()},
        },
        "router": {
            "kind": "kubernetes-service",
            "service": "shop",
            "sides": SIDES,
            "maintenance": PAGE,
            "kubeconfig": str(stand.kubeconfig),
        },
        "checks": [
            {"kind": "http", "name": "health", "url": f"{service}/health", "version_json": "version"},
            {"kind": "probes", "name": "asking", "url": service, "count": 80, "per_second": 400,
             "max_error_rate": 0.1, "max_p95_ms": 20000},
        ],
    }  # fmt: skip
    (stand.folder / "backout.yaml").write_text(yaml.safe_dump(told))
    environ = {
        **os.environ,
        "NO_COLOR": "1",
        "COLUMNS": "200",
        "HOME": str(stand.folder),
    }
    environ.pop("KUBECONFIG", None)
    return Cli(stand.folder, environ)


def test_no_request_fails_while_replicas_divide_them(stand: BlueGreen) -> None:
    """New connections and kept ones; a pod that is taken away goes on until nobody is sent to it any more."""
    router, host = stand.router(replicas=2), stand.address()
    with (
        SteadyLoad(80, clients=2, host=host) as kept,
        SteadyLoad(80, clients=2, fresh=True, host=host) as fresh,
    ):
        for shares in ({"blue": 50, "green": 50}, {"blue": 100, "green": 0}):
            router.shift(shares)
            for one in (kept, fresh):
                one.goes_on()
            assert router.traffic(5).shares == shares
    assert [one.total.failed for one in (kept, fresh)] == [[], []]
    assert set(fresh.total.by) == {"blue", "green"}


def test_requests_go_back_also_those_of_clients_that_keep_their_connection(stand: BlueGreen) -> None:
    """The trap at a Service: another selector ends no connection, and whoever keeps one stays with the bad release."""
    cli, router = configured(stand), stand.router()
    router.shift({"blue": 100, "green": 0})
    router.cut("green")
    wait_until(lambda: router.look().inside("green") == 0 and bool(router.look().sides["green"].ready))
    cli("record", "--state", "good").ended(0)
    router.shift({"blue": 0, "green": 100})
    cli("record", "--state", "bad", "--no-checks").ended(0)
    host = stand.address()
    with SteadyLoad(80, host=host) as kept, SteadyLoad(80, clients=2, fresh=True, host=host) as fresh:
        for one in (kept, fresh):
            one.goes_on()
        killed = cli("run", "--yes", env={"BACKOUT_FAULT": "kubernetes-service.shift.after"})
        assert killed.code == -signal.SIGKILL, killed.everything
        fresh_before, kept_before = fresh.total.by["blue"], kept.total.by["blue"]
        for one in (kept, fresh):
            one.goes_on(200)
        assert kept.total.by["blue"] == kept_before == 0, "nobody was moved by the selector"
        assert fresh.total.by["blue"] >= fresh_before + 200 - 2, "and nobody new comes to it"
        seen = router.traffic(5).of("green")
        assert (seen.admits, seen.inside) == (False, None)
        done = cli("resume")
        assert done.code in (0, 9), done.everything
        green = kept.total.by["green"]
        for one in (kept, fresh):
            one.goes_on(200)
        assert kept.total.by["green"] <= green + len(kept.seen)
    assert [one.total.failed for one in (kept, fresh)] == [[], []]
    assert router.traffic(5).of("green").inside == 0
