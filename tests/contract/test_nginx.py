"""A real nginx keeps the contracts of routers that hold, and of those that divide requests."""

from __future__ import annotations

import pytest
from tests.nginx import nginx
from tests.sides import sides

from backout.testing.routers import RouterCase, RouterContract
from backout.testing.traffic import TrafficCase, TrafficContract

pytestmark = pytest.mark.slow


@pytest.fixture
def proxy(tmp_path, require_service):
    require_service("nginx")
    with sides("blue", "blue2", "green") as running:
        running["blue2"].name = "blue"
        ports = {"blue": (running["blue"].port, running["blue2"].port), "green": (running["green"].port,)}
        with nginx(tmp_path, ports, sticky_cookie="session") as made:
            yield made


class TestHolding(RouterContract):
    @pytest.fixture
    def case(self, proxy):
        url = f"http://127.0.0.1:{proxy.port}"
        return RouterCase(router=proxy.router(), url=f"{url}/", slow_url=f"{url}/slow", kill=proxy.kill)


class TestTraffic(TrafficContract):
    @pytest.fixture
    def case(self, proxy):
        return TrafficCase(
            router=proxy.router(),
            port=proxy.port,
            sides=("blue", "green"),
            reload=proxy.reload,
            kill=proxy.kill,
            # Which side a value is sent to at 50:50 is the hash's word.
            cookie=lambda side: f"session={'1' if side == 'blue' else '2'}",
        )
