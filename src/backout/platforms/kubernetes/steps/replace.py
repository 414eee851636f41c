"""`kubernetes.replace`: deletes pods of another template that will never be ready or are never replaced by themselves."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from backout.faults import fault_point
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Receipt, World
from backout.plan.model import StepSpec
from backout.platforms.kubernetes.history import read
from backout.platforms.kubernetes.lease import need_generation
from backout.platforms.kubernetes.seen import Progress, Seen, is_ending, is_ready
from backout.platforms.kubernetes.steps import specs
from backout.platforms.kubernetes.steps.base import (
    Object,
    WorkloadStep,
    guard_workload,
    look,
    platform_of,
    probe_of,
    workload_of,
)
from backout.platforms.kubernetes.steps.specs import ends, text


class ReplaceStep(WorkloadStep):
    """A StatefulSet whose pods start in order waits for one that never becomes ready, also with a good template.

    Source: kubernetes.io, "StatefulSets", forced rollback. With the strategy OnDelete nobody replaces pods at all:
    then one ready pod at a time is deleted.
    """

    kind: ClassVar[str] = specs.REPLACE

    def describe(self, spec: StepSpec) -> Message:
        """Say what the step does."""
        return msg(
            "Delete pods of {workload} that are not of {version} and are not replaced by themselves, and wait.",
            workload=text(spec, "workload"),
            version=text(spec, "version"),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would type."""
        kubectl = text(spec, "kubectl")
        return (
            f"{kubectl} get pods -L controller-revision-hash   # not ready, and of another revision:",
            f"{kubectl} delete pod POD",
            f"{kubectl} rollout status {text(spec, 'workload')}",
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """When it is done, no pod of another version is left."""
        version = text(spec, "version")
        both = dataclasses.replace(world, serving=world.serving | {version})
        return (
            (world, both, dataclasses.replace(world, serving=frozenset({version})))
            if ends(spec)
            else (world, both)
        )

    def inverse(self, spec: StepSpec) -> None:
        """Return None: deleted pods come again by themselves, of the template that there is."""
        return

    def no_inverse_because(self, spec: StepSpec) -> Message:
        """Say why nothing undoes it."""
        return msg("Pods that were deleted are made anew by their controller.")

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look how far the pods are; while one has to be deleted, nothing is under way by itself."""
        seen, found = look(spec, acting)
        if not found.done and _stuck(seen, text(spec, "template")):
            found = Progress(done=False, failed=False, evidence=found.evidence)
            probe = probe_of(seen, found, spec, acting)
            return probe.model_copy(update={"in_progress": False})
        return probe_of(seen, found, spec, acting)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Delete what is stuck now, by uid. Idempotent."""
        platform = platform_of(acting)
        need_generation(platform.api, platform.site.service, acting)
        seen = read(platform.api, workload_of(spec), 20.0)
        guard_workload(spec, seen.object)
        stuck = _stuck(seen, text(spec, "template"))
        for pod in stuck:
            fault_point("kubernetes.replace.before")
            platform.api.delete("Pod", str(pod["metadata"]["name"]), uid=str(pod["metadata"]["uid"]))
            fault_point("kubernetes.replace.after")
        names = ", ".join(str(p["metadata"]["name"]) for p in stuck)
        return Receipt(what=msg("Deleted: {pods}", pods=names or "nothing"))


def _stuck(seen: Seen, wanted: str) -> list[Object]:
    """Return the pods that have to be deleted now: the unready ones of another template; by OnDelete one ready one."""
    others = [p for p in seen.pods if seen.hash_of_pod(p) != wanted and not is_ending(p)]
    unready = [p for p in others if not is_ready(p)]
    strategy = (seen.object["spec"].get("updateStrategy") or {}).get("type")
    if unready or strategy != "OnDelete":
        return unready
    all_ready = len(seen.ready) >= seen.replicas
    return others[:1] if all_ready else []
