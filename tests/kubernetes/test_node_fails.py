"""Parts of the node fail in the middle of a way back: it goes on by itself, or stops safely and can be resumed.

These tests have the node to themselves: they wait until nobody else uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.command_line import Cli, Done
from tests.waiting import until

from testbed.node import Node

from .service import KubeService
from .stage import database_for_pods, node_in_use

pytestmark = pytest.mark.slow

KNOWN = ("--accept", "schema-unknown", "--yes")
AGAIN = ("--accept", "quarantined", "--accept", "known-bad")


@pytest.fixture(scope="module")
def node(require_service: Callable[[str], None]) -> Iterator[Node]:
    require_service("kubernetes")
    with node_in_use(alone=True) as made:
        yield made
        made.start_apiserver()
        made.start_kubelet()


@pytest.fixture(scope="module")
def service(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeService]:
    with database_for_pods(tmp_path_factory.mktemp("postgres")) as server:
        made = KubeService(node, server, tmp_path_factory.mktemp("kube"))
        yield made
        made.close()


def told_to_run(service: KubeService) -> str:
    return str(
        service.get("deployment/collector")["spec"]["template"]["metadata"]["labels"][
            "app.kubernetes.io/version"
        ]
    )


def proven(cli: Cli, done: Done) -> None:
    """Check that the run came to its end, and that the proof holds.

    The node's proxy follows a moment after the API server is back, and a request sent meanwhile finds no way: then the
    proof says that it failed, and holds when it is asked for again.
    """
    assert done.code in (0, 6), done.everything
    until(lambda: cli("verify").code == 0)


def test_parts_of_the_node_fail_in_the_middle(node: Node, service: KubeService, tmp_path: Path) -> None:
    cli = service.configure(rollout_timeout_s=60)

    running = cli.start("run", "--to", "1.0.0", *KNOWN)
    until(lambda: told_to_run(service) == "1.0.0")
    node.stop_apiserver()
    node.start_apiserver()
    proven(cli, cli.finish(running))  # it went on by itself
    assert service.served() == ["1.0.0"]

    node.stop_kubelet()
    cli = service.configure(rollout_timeout_s=8)
    cli("run", "--to", "2.0.0", *AGAIN, *KNOWN).refused(
        5, what="deployment/collector: .*pod collector-", now="serve", next="backout resume run-"
    )
    assert service.served() == ["1.0.0"]
    node.start_kubelet()
    cli = service.configure(rollout_timeout_s=60)
    proven(cli, cli("resume"))
    assert service.served() == ["2.0.0"]

    running = cli.start("run", "--to", "1.0.0", *AGAIN, *KNOWN)
    until(lambda: told_to_run(service) == "1.0.0")
    node.stop_apiserver()
    cli.finish(running).refused(
        5, what="API server https://.*does not answer", now="1.0.0", next="backout resume run-"
    )
    cli("status").ended(5)
    cli("resume").refused(3, what="API server|does not answer", now=".", next="kubectl|backout")
    node.start_apiserver()
    # Its controllers come back in their own time, a minute or more after it: until then a resume stops safely again.
    resumed = [cli("resume")]
    until(lambda: resumed[-1].code != 5 or resumed.append(cli("resume")), 400)
    proven(cli, resumed[-1])
    assert service.served() == ["1.0.0"]
