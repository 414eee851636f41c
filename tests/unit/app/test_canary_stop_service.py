"""Stopping a canary behind a Service: what the Service cannot do besides does not keep it from being stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sides import Side, sides
from tests.unit.routers.cluster import Cluster, serving

from backout.app.canary_stop import CONTROL_NOT_READY, stop
from backout.app.parts import Parts
from backout.assess.allowed import Allowed
from backout.canary import Meant
from backout.message import Message
from backout.platforms.base import Site
from backout.platforms.sides import SidesOptions, SidesPlatform
from backout.redact import Redactor
from backout.routers.kubernetes_service import KubernetesServiceOptions, KubernetesServiceRouter

LABELS = {side: {"app": "shop", "side": side} for side in ("blue", "green")}
PAGE = {"app": "page"}


@pytest.fixture
def cluster() -> Cluster:
    """Ten pods: one of them is the canary's."""
    made = Cluster()
    made.service({"app": "shop"})
    made.deployment("shop-blue", LABELS["blue"], 9)
    made.deployment("shop-green", LABELS["green"], 1)
    made.deployment("page", PAGE)
    made.clock.wait(60)
    return made


@pytest.fixture
def parts(cluster: Cluster, tmp_path: Path) -> Iterator[Parts]:
    with serving(cluster, tmp_path) as kubeconfig, sides("blue", "green") as running:
        running["blue"].version, running["green"].version = "v1", "v2"
        site = Site("shop", "test", tmp_path, {}, cluster.clock, Redactor())
        told = {"service": "shop", "sides": {side: f"deployment/shop-{side}" for side in LABELS}}
        told |= {"kubeconfig": str(kubeconfig), "rollout_timeout_s": 1, "replicas": 10}
        told |= {"maintenance": "deployment/page"}
        platform = SidesPlatform.create(_options(running), site)
        router = KubernetesServiceRouter.create(KubernetesServiceOptions.model_validate(told), site)
        platform.behind(router)
        found = Parts(
            site=site,
            platform=platform,
            router=router,
            database=None,
            make_holds=tuple,
            declared_checks=(),
            allowed=Allowed(),
            plan_expires_s=1800,
            state_directory=tmp_path,
            actor="ana@web1",
        )
        found.canaries.mean(Meant(version="v2", ref="v2", side="green", control="blue", share=10), "run-1", 0)
        yield found
        found.close()


def _options(running: dict[str, Side]) -> SidesOptions:
    urls = {side: {"version_url": f"http://127.0.0.1:{one.port}/version"} for side, one in running.items()}
    return SidesOptions.model_validate({"sides": urls, "drain_timeout_s": 0.1})


def stopped(parts: Parts, *accept: str) -> list[str]:
    told: list[Message] = []
    found = stop(parts, None, accept, "it is slow", told.append)
    assert found.noted is None and found.shares == {"blue": 100, "green": 0}
    assert parts.canaries.canary().meant is None and parts.book.is_quarantined("v2")
    return [str(one) for one in told]


@pytest.mark.parametrize("accept", [(), (CONTROL_NOT_READY,)])
def test_pods_that_do_not_come_up_afterwards_neither_hold_nor_leave_it_unnoted(
    cluster: Cluster, parts: Parts, accept: tuple[str, ...]
) -> None:
    """No node has room for the tenth: requests are away from the canary all the same, and blue's nine go on."""
    cluster.starts["shop-blue"] = False
    blue = {name for name in cluster.objects["Pod"] if "blue" in name}
    told = stopped(parts, *accept)
    assert cluster.selector == LABELS["blue"] and blue <= set(cluster.objects["Pod"])
    assert any("9 of 10 pods" in one and "kubectl" in one for one in told)
    assert parts.router.look().inside("green") == 0, "what the canary's clients kept is ended"  # type: ignore[union-attr]


def test_a_control_that_answers_nobody_ends_in_maintenance_and_the_canary_does_not_come_back(
    cluster: Cluster, parts: Parts
) -> None:
    cluster.starts["shop-blue"] = False
    for name in [name for name in cluster.objects["Pod"] if "blue" in name]:
        del cluster.objects["Pod"][name]
    cluster.controllers()
    told = stopped(parts, CONTROL_NOT_READY)
    assert cluster.selector == PAGE and any("maintenance" in one for one in told), told
    assert parts.router.look().divides == LABELS["blue"]  # type: ignore[union-attr]
