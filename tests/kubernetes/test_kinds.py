"""StatefulSets and DaemonSets: their history is another one, and a template alone does not heal them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import until

from backout.embedded.server import EmbeddedPostgres
from backout.platforms.kubernetes.template import VERSION_LABEL
from backout.testing.platforms import PlatformContract, Stage, carry_out, propose
from testbed.node import Node

from .kinds import DaemonService, StatefulService

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def released(
    node: Node, database: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StatefulService]:
    made = StatefulService(node, database, tmp_path_factory.mktemp("stateful"))
    yield made
    made.close()


@pytest.fixture
def stateful(released: StatefulService) -> StatefulService:
    """2.0.0 runs, after 1.0.0."""
    released.set_version("2.0.0")
    released.rolled_out()
    return released


@pytest.fixture
def daemon(node: Node, database: EmbeddedPostgres, tmp_path: Path) -> Iterator[DaemonService]:
    made = DaemonService(node, database, tmp_path)
    yield made
    made.close()


def _runs_unready(pod: dict[str, Any]) -> bool:
    statuses = pod["status"].get("containerStatuses") or ()
    return any("running" in s["state"] and not s["ready"] for s in statuses)


BACK = ("run", "--to", "1.0.0", "--accept", "schema-unknown", "--yes")


class TestStatefulSet(PlatformContract):
    @pytest.fixture
    def stage(self, released: StatefulService) -> Stage:
        made = Stage(
            platform=released.platform(),
            old=released.refs["1.0.0"],
            new=released.refs["2.0.0"],
            served=lambda: [released.refs.get(version, version) for version in released.served()],
            half_done={"an image that is nowhere": lambda: released.set_image("collector:nowhere")},
            snapshot=released.snapshot,
        )
        carry_out(made, propose(made, to=made.new))
        return made


def test_a_pod_that_is_never_ready_does_not_stop_the_way_back(stateful: StatefulService) -> None:
    """The broken pod would stay for ever: the controller waits for it before it looks at the new template."""
    stateful.set_probe_path("/nowhere")
    until(lambda: any(_runs_unready(pod) for pod in stateful.pods()))
    cli = stateful.configure()
    run = cli(*BACK, "--json").ended(0).json
    assert "Deleted: collector-0" in cli("report", run["id"]).everything
    assert stateful.served() == ["1.0.0"]


def test_a_pod_that_nobody_replaces_is_evicted_as_its_budget_allows(stateful: StatefulService) -> None:
    stateful.patch({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}})
    budget = ("poddisruptionbudget", "collector")
    stateful.kubectl("create", *budget, "--selector=app=collector", "--min-available=1")
    try:
        until(lambda: stateful.get(*budget)["status"].get("currentHealthy") == 1)
        cli, before = stateful.configure(), stateful.pod_uids()
        cli(*BACK).refused(
            5,
            what="Pod collector-0 of statefulset/collector is not replaced: .*disruption budget collector needs 1",
            now="goes on",
            next="get poddisruptionbudgets",
        )
        assert stateful.pod_uids() == before
        stateful.patch({"spec": {"minAvailable": 0}}, "/".join(budget))
        cli("resume").ended(0)
        assert stateful.served() == ["1.0.0"]
    finally:
        stateful.kubectl("delete", *budget)
        stateful.patch({"spec": {"updateStrategy": {"type": "RollingUpdate"}}})


def test_undone_a_pod_that_is_never_ready_is_replaced_too(stateful: StatefulService) -> None:
    """The way back itself brought the broken pod: what undoes it meets the same controller."""
    template = stateful.template("2.0.0")
    template["metadata"]["labels"][VERSION_LABEL] = "0.9.0"
    template["spec"]["containers"][0]["image"] = "collector:nowhere"
    patch = json.dumps({"spec": {"template": template}})
    stateful.kubectl("patch", stateful.name, "-p", patch)  # in the history, and never well
    stateful.set_version("2.0.0")
    stateful.kubectl("delete", "pod", "collector-0")
    stateful.rolled_out()
    cli = stateful.configure(rollout_timeout_s=20)
    cli("run", "--to", "0.9.0", "--accept", "schema-unknown", "--yes").refused(
        5, what="pod collector-0: .*(ErrImage|ImagePullBackOff)", now="0.9.0", next="backout resume run-"
    )
    cli("abort", "--yes").ended(0)
    assert stateful.served() == ["2.0.0"]


def test_a_partition_keeps_pods_as_they_are_and_is_named(stateful: StatefulService) -> None:
    cli = stateful.configure()
    stateful.patch({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}}})
    try:
        before = stateful.snapshot()
        cli(*BACK).refused(3, what="partition 1", now="Nothing was changed", next="kubectl .*partition")
        assert stateful.snapshot() == before
        assert "partition 1" in cli("doctor").everything
    finally:
        stateful.patch({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})


def test_a_daemonset_goes_back_by_its_controller_revisions(daemon: DaemonService) -> None:
    cli = daemon.configure()
    listed = cli("releases", "--json").ended(0).json["rows"]
    assert [r["release"]["version"] for r in listed] == ["2.0.0", "1.0.0"]
    daemon.set_image("collector:nowhere")
    cli("run", "--to", "1.0.0", "--yes", "--accept", "schema-unknown").ended(0)
    assert daemon.served() == ["1.0.0"]
