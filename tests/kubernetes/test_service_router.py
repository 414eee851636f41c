"""A real Service keeps the contracts of routers that hold, and of those that divide requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backout.routers.kubernetes_service import KubernetesServiceRouter
from backout.testing.routers import RouterCase, RouterContract
from backout.testing.steps import wait_until
from backout.testing.traffic import TrafficCase, TrafficContract
from testbed.node import Node

from .blue_green import SIDES, BlueGreen
from .proxy import FaultyProxy

pytestmark = pytest.mark.slow

TOTAL = 4


@pytest.fixture(scope="module")
def stand(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlueGreen]:
    made = BlueGreen(node, tmp_path_factory.mktemp("sides"))
    yield made
    made.close()


@pytest.fixture
def proxy(stand: BlueGreen, tmp_path: Path) -> Iterator[FaultyProxy]:
    made = FaultyProxy(stand.kubeconfig, tmp_path / "proxied")
    yield made
    made.close()


@pytest.fixture
def _typing(stand: BlueGreen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's shell: kubectl, at the same cluster."""
    program = stand.node.home.program("kubectl")
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("KUBECONFIG", str(stand.node.kubeconfig))


def _reached_by(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Return the kubeconfig that leads through the proxy; None where commands are typed, which name it: kubectl speaks TLS."""
    return None if "type" in request.node.name else tmp_path / "proxied"


def begin(router: KubernetesServiceRouter) -> tuple[str, str]:
    """Have all requests go to one side, the one that has them if one has, and return which, and the other one."""
    router.release({})
    alone = router.look().taking
    one = alone[0] if len(alone) == 1 else "blue"
    other = next(side for side in SIDES if side != one)
    router.shift({one: 100, other: 0})
    wait_until(lambda: all(group.ready for group in router.look().sides.values()))
    return one, other


@pytest.mark.usefixtures("_typing")
class TestHolding(RouterContract):
    @pytest.fixture
    def case(
        self, request: pytest.FixtureRequest, stand: BlueGreen, proxy: FaultyProxy, tmp_path: Path
    ) -> RouterCase:
        router = stand.router(_reached_by(request, tmp_path))
        _, other = begin(router)
        if router.look().connected(other):
            router.cut(other)
            wait_until(lambda: not router.look().connected(other) and bool(router.look().sides[other].ready))
        url = f"http://{stand.address()}"
        return RouterCase(
            router=router, url=f"{url}/", slow_url=f"{url}/slow", kill=lambda: setattr(proxy, "down", True)
        )


@pytest.mark.usefixtures("_typing")
class TestTraffic(TrafficContract):
    @pytest.fixture
    def case(
        self, request: pytest.FixtureRequest, stand: BlueGreen, proxy: FaultyProxy, tmp_path: Path
    ) -> TrafficCase:
        found = begin(stand.router())
        # Pods take their time: they are counted where shares are asked for.
        divides = any(word in request.node.name for word in ("shares", "type"))

        def reload() -> None:
            stand.node.stop_apiserver()
            stand.node.start_apiserver()

        return TrafficCase(
            router=stand.router(_reached_by(request, tmp_path), replicas=TOTAL if divides else None),
            host=stand.address(),
            port=80,
            sides=found,
            reload=reload,
            kill=lambda: setattr(proxy, "down", True),
            shares=(50, 25),
            connections=True,
        )
