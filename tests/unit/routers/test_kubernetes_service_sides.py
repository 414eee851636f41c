"""The platform `sides` behind a Service: what may still be inside a side is waited for, ended, and never taken for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sides import Side, sides
from tests.unit.routers.cluster import Cluster, serving

from backout.errors import LostRace
from backout.plan.base import Probed
from backout.platforms.base import Site
from backout.platforms.sides import SidesOptions, SidesPlatform
from backout.platforms.sides.steps import specs
from backout.redact import Redactor
from backout.routers.kubernetes_service import KubernetesServiceOptions, KubernetesServiceRouter
from backout.testing.steps import acting_on

LABELS = {side: {"app": "shop", "side": side} for side in ("blue", "green")}


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[tuple[SidesPlatform, Cluster, dict[str, Side]]]:
    """v1 is on blue, v2 on green, and green gets all; blue did until a minute ago."""
    cluster = Cluster()
    cluster.service(LABELS["blue"])
    for side, labels in LABELS.items():
        cluster.deployment(f"shop-{side}", labels, 2)
    with serving(cluster, tmp_path) as kubeconfig, sides("blue", "green") as running:
        running["blue"].version, running["green"].version = "v1", "v2"
        site = Site("shop", "test", tmp_path, {}, cluster.clock, Redactor())
        told = {"service": "shop", "sides": {side: f"deployment/shop-{side}" for side in LABELS}}
        told |= {"kubeconfig": str(kubeconfig), "rollout_timeout_s": 40}
        urls = {
            side: {"version_url": f"http://127.0.0.1:{one.port}/version"} for side, one in running.items()
        }
        platform = SidesPlatform.create(
            SidesOptions.model_validate({"sides": urls, "drain_timeout_s": 5}), site
        )
        platform.behind(KubernetesServiceRouter.create(KubernetesServiceOptions.model_validate(told), site))
        cluster.clock.wait(60)
        platform.router.shift({"blue": 0, "green": 100})
        cluster.clock.wait(60)
        yield platform, cluster, running


def running(platform: SidesPlatform) -> list[str]:
    return [one.ref for one in platform.observe(5).running]


def test_a_version_that_kept_connections_may_be_with_still_runs(
    stand: tuple[SidesPlatform, Cluster, dict[str, Side]],
) -> None:
    platform, _, _ = stand
    assert running(platform) == ["v2", "v1"]
    platform.router.cut("blue")
    assert running(platform) == ["v2"]


def test_a_side_that_does_not_answer_and_gets_nothing_is_in_nobodys_way(
    stand: tuple[SidesPlatform, Cluster, dict[str, Side]],
) -> None:
    platform, _, served = stand
    served["blue"].version = ""
    assert running(platform) == ["v2"]


def test_a_drain_waits_for_its_whole_time_and_then_ends_what_it_cannot_see(
    stand: tuple[SidesPlatform, Cluster, dict[str, Side]],
) -> None:
    platform, cluster, _ = stand
    to = platform.identify("v1")
    _, shift, drain = platform.switch(platform.observe(5), to, from_version="v2", to_version="v1")
    assert drain.timeout_s == 5 + 40, "pods take longer than a command at a load balancer"
    kinds = platform.step_kinds()
    acting = acting_on({"platform": platform}, clock=cluster.clock)
    kinds[shift.kind].apply(shift, acting)
    assert kinds[shift.kind].probe(shift, acting).answer is Probed.DONE
    before = set(cluster.objects["Pod"])
    probe = kinds[drain.kind].probe(drain, acting)
    assert (probe.answer, probe.in_progress) == (Probed.PARTIAL, True)
    assert "not known" in str(probe.evidence)
    kinds[drain.kind].apply(drain, acting)
    assert set(cluster.objects["Pod"]) == before, "its time is not over"
    cluster.clock.wait(acting.deadline_s - 40 - cluster.clock.monotonic_s())
    assert not kinds[drain.kind].probe(drain, acting).in_progress
    receipt = kinds[drain.kind].apply(drain, acting)
    assert "whatever was inside side green" in str(receipt.what)
    assert kinds[drain.kind].probe(drain, acting).answer is Probed.DONE
    assert {name for name in before - set(cluster.objects["Pod"]) if "green" not in name} == set()


def test_a_side_that_connections_may_be_with_is_not_stopped(
    stand: tuple[SidesPlatform, Cluster, dict[str, Side]],
) -> None:
    platform, cluster, _ = stand
    step = specs.running(specs.STOP, "blue", "v1", "v1", {"start": "true", "stop": "true"}, 5)
    kind, acting = platform.step_kinds()[specs.STOP], acting_on({"platform": platform}, clock=cluster.clock)
    with pytest.raises(LostRace, match="perhaps some are inside"):
        kind.guard(step, acting)
    platform.router.cut("blue")
    kind.guard(step, acting)
