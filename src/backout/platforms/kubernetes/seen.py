"""What was read of one workload: the object, its revisions, its pods; and what they mean. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backout.kubernetes.pods import is_ready
from backout.message import Message, msg
from backout.platforms.kubernetes.options import WorkloadName
from backout.platforms.kubernetes.template import Template, hash_of

Object = dict[str, Any]

MARKS = {
    "Deployment": "pod-template-hash",
    "StatefulSet": "controller-revision-hash",
    "DaemonSet": "controller-revision-hash",
}
"""The label by which a pod says which revision it was made from."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A template that a workload has or had.

    Attributes:
        number: The controller's revision; 0 where only backout kept it.
        name: Of the ReplicaSet or ControllerRevision.
    """

    hash: str
    template: Template
    number: int
    created: datetime | None
    name: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One workload, read at one time.

    Attributes:
        revisions: Newest first; the one that is wanted now is among them where history has it.
        pods: Every pod of it that is there, also those that are ending.
    """

    workload: WorkloadName
    object: Object
    revisions: tuple[Revision, ...]
    pods: tuple[Object, ...]

    @property
    def wanted(self) -> str:
        """Hash of the template that it is told to run."""
        return hash_of(self.object["spec"]["template"])

    @property
    def replicas(self) -> int:
        """Pods that it is told to run."""
        return wanted_pods(self.workload, self.object)

    def hash_of_pod(self, pod: Object) -> str | None:
        """Return the hash of the template that a pod was made from; None: history does not have it."""
        mark = (pod["metadata"].get("labels") or {}).get(MARKS[self.workload.kind])
        for revision in self.revisions:
            # A DaemonSet's pods have the end of the revision's name alone, a StatefulSet's the whole name.
            if mark and mark in (revision.name, revision.name.rpartition("-")[2]):
                return revision.hash
        return None

    @property
    def ready(self) -> tuple[Object, ...]:
        """Pods that get requests."""
        return tuple(p for p in self.pods if is_ready(p))

    @property
    def acting(self) -> tuple[Object, ...]:
        """Pods whose program runs, or ran and is started over and over: they may read and write."""
        return tuple(p for p in self.pods if has_run(p))


def wanted_pods(workload: WorkloadName, obj: Object) -> int:
    """Return how many pods a workload is told to run; a DaemonSet: on how many nodes."""
    if workload.kind == "DaemonSet":
        return int((obj.get("status") or {}).get("desiredNumberScheduled") or 0)
    replicas = (obj.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def partition_of(obj: Object) -> int:
    """Return the number below which the pods of a StatefulSet keep their template; 0: all follow.

    Source: kubernetes.io, "StatefulSets", partitioned rolling updates.
    """
    strategy = obj["spec"].get("updateStrategy") or {}
    return int((strategy.get("rollingUpdate") or {}).get("partition") or 0)


def has_run(pod: Object) -> bool:
    """Return whether a program of a pod runs now, or did and is started again."""
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return False
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(s.get("restartCount") or "running" in (s.get("state") or {}) for s in statuses)


def image_ids(pod: Object) -> dict[str, str]:
    """Return ``sha256:…`` by container, as the container runtime says what it runs."""
    status = pod.get("status") or {}
    statuses = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    found = {str(s["name"]): str(s.get("imageID") or "").rpartition("@")[2] for s in statuses}
    return {name: image for name, image in found.items() if image.startswith("sha256:")}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a workload is on the way to a template.

    Attributes:
        done: Every pod that is wanted is there, available, and of that template; no other one is left.
        failed: The controller gave up: nothing is under way any more.
    """

    done: bool
    failed: bool
    evidence: Message


def progress(seen: Seen, wanted: str, images: dict[str, str]) -> Progress:
    """Judge by our own predicate: `rollout status` is content with less.

    Args:
        seen: The workload, read after it was told.
        wanted: Hash of the template.
        images: ``sha256:…`` by container that every pod must run; empty where it is not known.
    """
    name = seen.workload.text
    if seen.wanted != wanted:
        return Progress(False, True, msg("{workload} is told to run another template", workload=name))
    status = seen.object.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(seen.object["metadata"].get("generation") or 0):
        return Progress(False, False, msg("{workload}: the controller has not seen it yet", workload=name))
    want = seen.replicas
    updated, available, total = _counts(seen, status)
    others = [p["metadata"]["name"] for p in seen.pods if seen.hash_of_pod(p) != wanted]
    wrong = _wrong_images(seen, wanted, images)
    counts: dict[str, Any] = {"workload": name, "available": available, "want": want}
    if updated == want == available == total and not others and not wrong:
        return Progress(True, False, msg("{workload}: {available} of {want} pods are available, all of the target", **counts))  # fmt: skip
    if wrong:
        text = msg("{workload}: {pod} runs another image than the target's", workload=name, pod=wrong[0])
        return Progress(False, updated == want == available, text)
    # The workload's own count of available pods has those of other templates in it.
    available = min(available, sum(seen.hash_of_pod(p) == wanted for p in seen.ready))
    counts["available"] = available
    if updated == want == available == total and others:  # one that ends is not counted any more
        text = msg(
            "{workload}: {pods} of another template still end", workload=name, pods=", ".join(others[:3])
        )
        return Progress(False, False, text)
    text = msg(
        "{workload}: {updated} of {want} pods are of the target, {available} available",
        workload=name,
        want=want,
        updated=updated,
        # The workload's own number counts what is left of the release before.
        available=sum(seen.hash_of_pod(p) == wanted for p in seen.ready),
    )
    return Progress(False, _gave_up(status), text)


def _counts(seen: Seen, status: Object) -> tuple[int, int, int]:
    """Return how many pods are updated, available, and there at all, by the workload's own status."""
    if seen.workload.kind == "DaemonSet":
        names = ("updatedNumberScheduled", "numberAvailable", "currentNumberScheduled")
    else:
        names = ("updatedReplicas", "availableReplicas", "replicas")
    updated, available, total = (int(status.get(name) or 0) for name in names)
    if seen.workload.kind == "StatefulSet" and status.get("currentRevision") == status.get("updateRevision"):
        # Nothing to update: the controller then counts them as current ones. Source: apps/v1 StatefulSetStatus.
        updated = max(updated, int(status.get("currentReplicas") or 0))
    return updated, available, total


def _gave_up(status: Object) -> bool:
    """Whether progressDeadlineSeconds is over. Source: kubernetes.io, "Failed Deployment"."""
    return any(c["type"] == "Progressing" and c["status"] == "False" for c in status.get("conditions") or ())


def _wrong_images(seen: Seen, wanted: str, images: dict[str, str]) -> list[str]:
    return [
        p["metadata"]["name"]
        for p in seen.ready
        if seen.hash_of_pod(p) == wanted
        and any(images.get(name, digest) != digest for name, digest in image_ids(p).items())
    ]
