"""The platform keeps what every platform promises: on a real node, with the documented Role."""

from __future__ import annotations

import pytest

from backout.platforms.kubernetes import KubernetesPlatform
from backout.testing.platforms import PlatformContract, Stage, assert_runs, carry_out, propose

from .service import NAME, KubeService

pytestmark = pytest.mark.slow


class TestKubernetes(PlatformContract):
    @pytest.fixture
    def stage(self, service: KubeService) -> Stage:
        platform = service.platform()
        old, new = service.refs["1.0.0"], service.refs["2.0.0"]

        def paused_in_the_middle() -> None:
            service.kubectl("rollout", "pause", NAME)
            service.set_version("3.0.0")

        def scaled_to_nothing_and_back() -> None:
            for count in (0, 1):
                service.kubectl("scale", NAME, f"--replicas={count}")

        made = Stage(
            platform=platform,
            old=old,
            new=new,
            served=lambda: [service.refs.get(version, version) for version in service.served()],
            half_done={
                "an image that is nowhere": lambda: service.set_image("collector:nowhere"),
                "a roll-out that is paused in the middle": paused_in_the_middle,
                "scaled to nothing and back": scaled_to_nothing_and_back,
            },
            snapshot=service.snapshot,
        )
        carry_out(made, propose(made, to=new))
        return made

    def test_every_pod_is_started_anew_and_runs_the_same(self, stage: Stage, service: KubeService) -> None:
        assert isinstance(stage.platform, KubernetesPlatform)
        before, new = service.pod_uids(), stage.platform.identify(stage.new)
        carry_out(stage, stage.platform.restart(new, "2.0.0"))
        assert not before & service.pod_uids()
        assert_runs(stage, stage.new)
