"""A roll-out is done by our own predicate, which every controller's half-truth must not satisfy."""

from __future__ import annotations

from typing import Any

import pytest

from backout.kubernetes.pods import is_ready
from backout.platforms.kubernetes.seen import has_run, image_ids, progress
from backout.platforms.kubernetes.steps.keep_one import to_keep
from backout.platforms.kubernetes.template import hash_of

from .objects import pod, seen, template

OLD, NEW = template("r/collector:1.0.0"), template("r/collector:2.0.0")
WANTED = hash_of(NEW)


def test_done_is_when_every_pod_is_of_the_target_and_available() -> None:
    found = progress(seen(NEW, OLD, pods=(pod("a", "0"),)), WANTED, {"collector": "sha256:" + "a" * 64})
    assert found.done and not found.failed and "1 of 1" in str(found.evidence)


@pytest.mark.parametrize(
    ("status", "pods", "words"),
    [
        ({"observedGeneration": 1}, (pod("a", "0"),), "has not seen it yet"),
        ({"updatedReplicas": 0, "availableReplicas": 1, "replicas": 1}, (pod("a", "1"),), "0 of 1"),
        (
            {"updatedReplicas": 1, "availableReplicas": 0, "replicas": 1},
            (pod("a", "0", ready=False),),
            "0 available",
        ),
        (
            {"updatedReplicas": 1, "availableReplicas": 1, "replicas": 2},
            (pod("a", "0", ready=False), pod("b", "1")),
            "1 of 1 pods are of the target, 0 available",
        ),
        (
            {"updatedReplicas": 1, "availableReplicas": 1, "replicas": 2},
            (pod("a", "0", ready=False), pod("b", "1")),
            "1 of 1 pods are of the target, 0 available",
        ),
        ({}, (pod("a", "0"), pod("b", "1")), "b of another template still end"),
    ],
)
def test_anything_less_is_under_way(status: dict[str, Any], pods: tuple[Any, ...], words: str) -> None:
    full = {"updatedReplicas": 1, "availableReplicas": 1, "replicas": 1} | status
    found = progress(seen(NEW, OLD, pods=pods, status={"observedGeneration": 2} | full), WANTED, {})
    assert not found.done and not found.failed and words in str(found.evidence)


def test_a_controller_that_gave_up_is_not_waited_for() -> None:
    status = {
        "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
    }
    found = progress(seen(NEW, OLD, status={"observedGeneration": 2, **status}), WANTED, {})
    assert found.failed and not found.done


def test_what_is_left_of_the_release_before_does_not_hide_that_it_gave_up() -> None:
    status = {"observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 1, "replicas": 2}
    status["conditions"] = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
    pods = (pod("a", "0", ready=False), pod("b", "1"))
    found = progress(seen(NEW, OLD, pods=pods, status=status), WANTED, {})
    assert found.failed and "0 available" in str(found.evidence)


def test_another_template_is_no_progress() -> None:
    found = progress(seen(OLD, NEW), WANTED, {})
    assert found.failed and "another template" in str(found.evidence)


def test_a_tag_that_was_moved_is_another_image() -> None:
    found = progress(seen(NEW, pods=(pod("a", "0"),)), WANTED, {"collector": "sha256:" + "b" * 64})
    assert not found.done and "another image" in str(found.evidence)
    both = progress(seen(NEW, OLD, pods=(pod("a", "1"),)), WANTED, {"collector": "sha256:" + "b" * 64})
    assert "another image" not in str(both.evidence), "a pod of the release before has its own image"


@pytest.mark.parametrize(
    ("workload", "name"),
    [("statefulset/collector", "collector-0"), ("daemonset/collector", "0")],
)
def test_pods_say_which_revision_they_are_of(workload: str, name: str) -> None:
    one = seen(NEW, OLD, workload=workload)
    kind = workload.partition("/")[0]
    assert one.hash_of_pod(pod("a", name, kind=kind)) == WANTED
    assert one.hash_of_pod(pod("a", "elsewhere", kind=kind)) is None


def test_a_daemonset_wants_a_pod_on_each_node() -> None:
    status = {
        "observedGeneration": 2,
        "desiredNumberScheduled": 3,
        "updatedNumberScheduled": 3,
        "numberAvailable": 3,
        "currentNumberScheduled": 3,
    }
    one = seen(NEW, workload="daemonset/collector", status=status)
    assert one.replicas == 3 and progress(one, WANTED, {}).done


def test_who_gets_requests_and_who_may_write() -> None:
    crashing = pod("a", "0", ready=False)
    crashing["status"]["containerStatuses"][0]["restartCount"] = 3
    ending = pod("b", "0")
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    pulling = pod("c", "0", ready=False)
    assert (is_ready(crashing), has_run(crashing)) == (False, True)
    assert (is_ready(ending), has_run(ending)) == (False, True)
    assert (is_ready(pulling), has_run(pulling)) == (False, False)
    assert not has_run(pod("d", "0", phase="Succeeded"))
    assert image_ids(pod("a", "0")) == {"collector": "sha256:" + "a" * 64}


def test_kept_is_a_pod_that_goes_on_running_and_one_in_trouble_first() -> None:
    ending, other, fine = pod("a", "0"), pod("b", "1"), pod("c", "0")
    ending["metadata"]["deletionTimestamp"] = "2026-11-27T18:10:05Z"
    stuck = pod("d", "0", ready=False)
    stuck["status"]["containerStatuses"][0]["restartCount"] = 3
    assert to_keep(seen(NEW, OLD, pods=(ending, other)), WANTED) is None
    assert to_keep(seen(NEW, OLD, pods=(ending, other, fine)), WANTED) is fine
    assert to_keep(seen(NEW, OLD, pods=(ending, fine, stuck)), WANTED) is stuck
