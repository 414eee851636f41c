"""The platform keeps what every platform promises, with the documented Role: on a real node, or on any other cluster.

BACKOUT_TEST_KUBECONFIG=~/.kube/config BACKOUT_TEST_IMAGES=NAME@sha256:…,…,… pytest tests/kubernetes/test_contract.py
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from backout.platforms.kubernetes import KubernetesPlatform
from backout.testing.platforms import PlatformContract, Stage, assert_runs, carry_out, propose

from .cluster import KUBECONFIG, PlainService, plain_service
from .service import NAME
from .stage import node_in_use

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def plain(
    require_service: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PlainService]:
    with ExitStack() as ending:
        if KUBECONFIG not in os.environ:
            require_service("kubernetes")
            ending.enter_context(node_in_use())
        yield ending.enter_context(plain_service(tmp_path_factory.mktemp("plain")))


class TestKubernetes(PlatformContract):
    @pytest.fixture
    def stage(self, plain: PlainService) -> Stage:
        platform = plain.platform()
        old, new = plain.refs["1.0.0"], plain.refs["2.0.0"]

        def an_image_that_is_nowhere() -> None:
            plain.kubectl("set", "image", NAME, "collector=collector:nowhere")

        def paused_in_the_middle() -> None:
            plain.kubectl("rollout", "pause", NAME)
            plain.set_version("3.0.0")

        def scaled_to_nothing_and_back() -> None:
            for count in (0, 1):
                plain.kubectl("scale", NAME, f"--replicas={count}")

        made = Stage(
            platform=platform,
            old=old,
            new=new,
            served=plain.served,
            half_done={
                "an image that is nowhere": an_image_that_is_nowhere,
                "a roll-out that is paused in the middle": paused_in_the_middle,
                "scaled to nothing and back": scaled_to_nothing_and_back,
            },
            snapshot=plain.snapshot,
        )
        carry_out(made, propose(made, to=new))
        return made

    def test_every_pod_is_started_anew_and_runs_the_same(self, stage: Stage, plain: PlainService) -> None:
        assert isinstance(stage.platform, KubernetesPlatform)
        before, new = plain.pod_uids(), stage.platform.identify(stage.new)
        carry_out(stage, stage.platform.restart(new, "2.0.0"))
        assert not before & plain.pod_uids()
        assert_runs(stage, stage.new)
