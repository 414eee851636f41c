"""Stopping the harm on a real node: what is held answers and writes nothing, and comes back exactly as it was."""

from __future__ import annotations

import http.client
import signal
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.waiting import until

from backout.embedded.server import EmbeddedPostgres
from backout.testing.holds import check_hold
from backout.testing.lease import lease_of
from testbed.node import Node

from . import work
from .kinds import QuickService
from .laptop import Laptop
from .service import KubeService

pytestmark = pytest.mark.slow

SUSPEND = ["cronjob/nightly", "job/import", "deployment/worker"]
SCALE: dict[str, Any] = {"serving": "scale", "suspend": SUSPEND}
DIVERT: dict[str, Any] = {
    "serving": "service",
    "service": "collector",
    "maintenance": "deployment/maintenance",
}


@pytest.fixture(scope="module")
def busy(
    node: Node, database: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KubeService]:
    """Two pods serve; a worker, a Job, a CronJob's run and a maintenance page are there, and an autoscaler."""
    made = QuickService(node, database, tmp_path_factory.mktemp("held"), replicas=2)
    made.apply(work.maintenance())
    work.start_work(made)
    made.kubectl("autoscale", made.name, "--min=2", "--max=3", "--cpu=80%")
    yield made
    made.close()


def _held_state(service: KubeService) -> object:
    """Return everything that holding changes."""
    objects = service.get("deployments,cronjobs,jobs,services")["items"]
    return [
        (
            o["kind"],
            o["metadata"]["name"],
            (o["metadata"].get("annotations") or {}).get("backout/held"),
            {key: o["spec"].get(key) for key in ("replicas", "suspend", "selector")},
        )
        for o in objects
    ]


def test_each_means_keeps_the_contract(busy: KubeService) -> None:
    for hold in (SCALE, DIVERT):
        for means in busy.platform(hold=hold).hold_means():
            check_hold(means, means.mode, snapshot=lambda: _held_state(busy))


@pytest.mark.parametrize("at", ["kubernetes.hold.before:1", "kubernetes.hold.before:2"])
def test_who_was_taken_over_and_wakes_up_holds_nothing(busy: KubeService, tmp_path: Path, at: str) -> None:
    """The Service, then the CronJob: it had looked at the lease and was about to write when it fell asleep."""
    hold = {**DIVERT, "suspend": SUSPEND}
    clis = [busy.configure(folder=tmp_path / name, hold=hold) for name in ("a", "b")]
    first, second = (Laptop(c.directory, c.environ, f"laptop-{n}") for n, c in enumerate(clis))
    before = _held_state(busy)
    acting = first.frozen("hold", "--yes", at=at)
    second("abort", "--take-over", "--reason", "he went for lunch", "--yes").ended(0)
    assert _held_state(busy) == before
    first.wake(acting)
    first.finish(acting).refused(
        5, what="took over|taken over", now="stopped|changed nothing", next="backout"
    )
    assert _held_state(busy) == before


class Clients:
    """Ask all the time, each on a connection that is kept or on a new one each time; notes when answers came."""

    def __init__(self, url: str, kept: tuple[bool, ...] = (True, False)) -> None:
        parts = urllib.parse.urlsplit(url)
        self._host, self._port, self._end = str(parts.hostname), parts.port or 80, threading.Event()
        self.answered: list[tuple[float, int]] = []
        self._threads = [threading.Thread(target=self._ask, args=(one,)) for one in kept]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def since(self, moment_s: float) -> list[int]:
        return [status for at_s, status in self.answered if at_s > moment_s]

    def _ask(self, kept: bool) -> None:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=2)
        while not self._end.wait(0.02):
            try:
                connection.request("GET", "/reports?tenant=probe")
                answer = connection.getresponse()
                answer.read()
                self.answered.append((time.monotonic(), answer.status))
            except (OSError, http.client.HTTPException):
                connection.close()
            if not kept:
                connection.close()
        connection.close()


def _rows(service: KubeService) -> int:
    with psycopg.connect(service.database.url) as connection:
        row = connection.execute("SELECT count(*) FROM worked").fetchone()
        assert row is not None
        return int(row[0])


def _autoscaler_rests(service: KubeService) -> bool:
    conditions = service.get("hpa", "collector")["status"].get("conditions") or ()
    return any(c["type"] == "ScalingActive" and c["reason"] == "ScalingDisabled" for c in conditions)


def test_nothing_answers_and_nothing_is_written_until_another_laptop_lets_go(
    busy: KubeService, tmp_path: Path
) -> None:
    before, old = _held_state(busy), busy.configure(hold=SCALE)
    with Clients(busy.url) as clients:
        killed = old("hold", "--yes", env={"BACKOUT_FAULT": "kubernetes.hold.after:1"})
        assert killed.code == -signal.SIGKILL, killed.everything
        other = busy.configure(folder=tmp_path / "other", hold=SCALE)
        done = other("hold", "--yes", "--reason", "orders are charged twice").ended(0)
        held_s, rows = time.monotonic(), _rows(busy)
        assert clients.answered, "they were answered before"
        assert "Requests do not reach the service" in done.everything
        assert other("--json").ended(0).json["held"] == ["serving pods", "background work", "database"]
        assert not busy.served() and not work.running(busy, work.WORK)
        until(lambda: _autoscaler_rests(busy))
        assert busy.get("deployment", "collector")["spec"]["replicas"] == 0
        assert not clients.since(held_s) and _rows(busy) == rows
        other("release-hold").ended(0)
        assert busy.served() == ["2.0.0", "2.0.0"]
        assert _held_state(busy) == before


def test_a_service_that_is_pointed_elsewhere_answers_nothing_of_the_release(busy: KubeService) -> None:
    before, cli = _held_state(busy), busy.configure(hold=DIVERT)
    with Clients(busy.url, kept=(False,)) as clients:
        told = cli("hold", "--yes").ended(0).everything
        assert "open ones STILL DO" in told
        held_s = time.monotonic()
        until(lambda: len(clients.since(held_s)) > 20)
        assert set(clients.since(held_s)) == {503}
        assert len(work.running(busy, "app=collector")) == 2, "its pods go on"
        cli("release-hold").ended(0)
        let_go_s = time.monotonic()
        until(lambda: len(clients.since(let_go_s)) > 20)
        assert set(clients.since(let_go_s)) == {200}
    assert _held_state(busy) == before


def test_hold_first_goes_back_behind_the_hold(busy: KubeService) -> None:
    before, cli = _held_state(busy), busy.configure(hold=SCALE | {"suspend": ["deployment/worker"]})
    done = cli("run", "--hold-first", "--accept", "schema-unknown", "--yes").ended(0)
    shown = done.everything
    assert shown.index("Stop serving pods") < shown.index("the pod template of 1.0.0")
    assert shown.index("the pod template of 1.0.0") < shown.index("through again at serving pods")
    assert "Suspend background work" in shown
    assert busy.served() == ["1.0.0", "1.0.0"] and _held_state(busy) == before
    until(lambda: len(work.running(busy, work.WORK)) == 4)


def test_what_is_not_there_or_may_not_be_changed_keeps_nobody_from_taking_the_lease(
    fresh: KubeService,
) -> None:
    hold = {"serving": "service", "service": "collector", "suspend": ["job/gone"]}
    role = fresh.get("role", "backout")
    left = [rule for rule in role["rules"] if "services" not in rule["resources"]]
    assert len(left) == len(role["rules"]) - 1
    fresh.patch({"rules": left}, "role/backout")
    store, lease = fresh.platform(hold=hold).lease_store(), lease_of(1)
    assert store.swap(None, lease) and store.read() == lease
