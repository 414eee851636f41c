"""What the owner of a workload has set stays so, and is taken into account."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from tests.waiting import until

from testbed.python_layer import interpreter

from .service import NAME, KubeService

pytestmark = pytest.mark.slow

BUDGET: dict[str, Any] = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "collector"},
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "collector"}}},
}


def with_more_containers(service: KubeService, version: str) -> list[dict[str, Any]]:
    """Return the manifest of a version with a container that runs before, and a second one; no history is kept."""
    objects = list(service.manifest(version))
    spec = next(o for o in objects if o["kind"] == "Deployment")["spec"]
    spec["revisionHistoryLimit"] = 0
    pod = spec["template"]["spec"]
    image = pod["containers"][0]["image"]
    command = [interpreter(), "-c"]
    pod["initContainers"] = [{"name": "first", "image": image, "command": [*command, "pass"]}]
    waits = [*command, "import signal; signal.pause()"]
    pod["containers"].append({"name": "beside", "image": image, "command": waits})
    return objects


def test_no_history_more_pods_meanwhile_a_budget_and_several_containers(fresh: KubeService) -> None:
    """A way back of which history knows nothing; the number of pods is another actor's, as with an autoscaler."""
    cli = fresh.configure()
    for version in ("1.0.0", "2.0.0"):
        fresh.apply(*with_more_containers(fresh, version), BUDGET)
        fresh.rolled_out()
        cli("record", "--state", "good", "--no-checks").ended(0)
    sets = [s for s in fresh.get("replicasets")["items"] if s["metadata"]["ownerReferences"]]
    assert len(sets) == 1, "the cluster has nothing to undo to"
    cli("plan", "-o", "plan.json").ended(0)
    fresh.kubectl("scale", NAME, "--replicas=3")
    cli("run", "plan.json", "--yes").ended(0)
    assert fresh.served() == ["1.0.0"] * 3
    spec = fresh.get(NAME)["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"]) == (3, 0)
    pod = spec["template"]["spec"]
    images = {c["image"] for c in (*pod["initContainers"], *pod["containers"])}
    assert len(pod["containers"]) == 2 and len(images) == 1
    assert fresh.get("poddisruptionbudget", "collector")["spec"] == BUDGET["spec"]


def test_a_roll_out_that_was_paused_is_paused_again_when_it_is_undone(fresh: KubeService) -> None:
    """While it is paused its controller replaces no pod: those of the earlier release have to go before."""
    cli = fresh.configure(rollout_timeout_s=40)
    fresh.recorded(cli)
    fresh.kubectl("rollout", "pause", NAME)
    assert "its roll-out is paused: going back will resume it" in cli("doctor").everything
    assert "is paused now" in cli("plan").ended(0).everything
    killed = cli("run", "--yes", env={"BACKOUT_FAULT": "kubernetes.template.after"})
    assert killed.code == -signal.SIGKILL, killed.everything
    until(lambda: fresh.served() == ["1.0.0"])
    fresh.rolled_out()
    cli("abort", "--yes").ended(0)
    assert fresh.served() == ["2.0.0"]
    assert fresh.get(NAME)["spec"]["paused"] is True
