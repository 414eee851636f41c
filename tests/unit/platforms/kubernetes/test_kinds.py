"""What tells StatefulSets and DaemonSets from Deployments when a plan is made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backout.errors import NotPossible
from backout.observed import Workload
from backout.platforms.kubernetes.releases import known, live
from backout.platforms.kubernetes.seen import Seen
from backout.platforms.kubernetes.settling import just_ready
from backout.platforms.kubernetes.switch import facts_of, propose

from .objects import pod, seen, template

OLD, NEW = template("r/collector:1.0.0"), template("r/collector:2.0.0")
NOW = datetime(2026, 7, 1, 3, 0, tzinfo=UTC)


def _stateful(**spec: Any) -> Seen:
    return seen(NEW, OLD, workload="statefulset/collector", **spec)


def _observed(one: Seen) -> Workload:
    now = live([one], {})
    releases = known([one], [], now)
    return Workload(
        wanted=now.artefact,
        detail={
            "workloads": [facts_of(one)],
            "configs": {},
            "releases": {d.ref: d.model_dump(mode="json") for d in releases},
        },
    )


def test_a_partition_is_refused_when_the_plan_is_made() -> None:
    observed = _observed(_stateful(updateStrategy={"rollingUpdate": {"partition": 2}}))
    to = known([_stateful()], [], live([_stateful()], {}))[1].artefact
    with pytest.raises(NotPossible) as refused:
        propose(observed, to, from_version="2.0.0", to_version="1.0.0", kubectl="kubectl -n n", timeout_s=60)
    assert "partition 2" in str(refused.value.what)
    assert refused.value.next_command.startswith("kubectl -n n patch statefulset/collector -p '{")


def test_without_one_the_stuck_pods_are_replaced() -> None:
    observed = _observed(_stateful())
    to = known([_stateful()], [], live([_stateful()], {}))[1].artefact
    steps = propose(observed, to, from_version="2.0.0", to_version="1.0.0", kubectl="kubectl", timeout_s=60)
    assert [s.kind for s in steps] == ["kubernetes.template", "kubernetes.replace"]


@pytest.mark.parametrize(
    ("one", "gaps"),
    [
        (seen(NEW), False),
        (seen(NEW, strategy={"type": "Recreate"}), True),
        (_stateful(), True),
        (_stateful(replicas=2), False),
        (seen(NEW, workload="daemonset/a", status={"desiredNumberScheduled": 1}), True),
        (seen(NEW, workload="daemonset/a", status={"desiredNumberScheduled": 2}), False),
        (
            seen(
                NEW,
                workload="daemonset/a",
                status={"desiredNumberScheduled": 1},
                updateStrategy={"rollingUpdate": {"maxSurge": 1}},
            ),
            False,
        ),
    ],
)
def test_where_the_only_pod_ends_first_nothing_serves_meanwhile(one: Seen, gaps: bool) -> None:
    assert facts_of(one)["gaps"] is gaps


def test_a_pod_that_is_ready_since_a_moment_is_not_found_by_requests_yet() -> None:
    def ready(since: datetime) -> dict[str, Any]:
        at = f"{since:%Y-%m-%dT%H:%M:%SZ}"
        return pod("a", "0", conditions=[{"type": "Ready", "status": "True", "lastTransitionTime": at}])

    assert just_ready([ready(NOW - timedelta(seconds=1))], NOW)
    assert just_ready([ready(NOW + timedelta(seconds=2))], NOW)
    assert not just_ready([ready(NOW - timedelta(seconds=3))], NOW)
    assert not just_ready([ready(NOW + timedelta(minutes=5))], NOW), "the node's clock is wrong"
    assert not just_ready([ready(NOW)], None) and not just_ready([pod("a", "0")], NOW)
