"""Pods that no controller replaces by itself: found, deleted, and waited for."""

from __future__ import annotations

from backout.errors import StepFailed
from backout.faults import fault_point
from backout.kubernetes.api import Budgeted
from backout.kubernetes.pods import is_ending, is_ready
from backout.message import msg
from backout.plan.base import Acting, Probe
from backout.plan.model import StepSpec
from backout.platforms.kubernetes.history import read
from backout.platforms.kubernetes.lease import need_generation
from backout.platforms.kubernetes.seen import Progress, Seen
from backout.platforms.kubernetes.steps.base import (
    Object,
    guard_workload,
    look,
    platform_of,
    probe_of,
    workload_of,
)
from backout.platforms.kubernetes.steps.specs import text

_BUDGET_S, _POLL_S = 10.0, 0.5
"""How long a budget may take to learn that a pod has become ready."""


def probe_stuck(spec: StepSpec, acting: Acting) -> Probe:
    """Look how far the pods are; while one has to be deleted, nothing is under way by itself."""
    seen, found = look(spec, acting)
    if not found.done and stuck(seen, text(spec, "template")):
        found = Progress(done=False, failed=False, evidence=found.evidence)
        return probe_of(seen, found, spec, acting).model_copy(update={"in_progress": False})
    return probe_of(seen, found, spec, acting)


def delete_stuck(spec: StepSpec, acting: Acting) -> tuple[str, ...]:
    """End what is stuck now, by uid, and return the names of it: what is ready as budgets allow. Idempotent.

    Raises:
        StepFailed: A PodDisruptionBudget does not let a ready pod end.
    """
    platform = platform_of(acting)
    need_generation(platform.api, platform.site.service, acting)
    seen = read(platform.api, workload_of(spec), 20.0)
    guard_workload(spec, seen.object)
    pods = stuck(seen, text(spec, "template"))
    for pod in pods:
        fault_point("kubernetes.replace.before")
        name, uid = str(pod["metadata"]["name"]), str(pod["metadata"]["uid"])
        if is_ready(pod):
            _evict(spec, acting, name, uid)
        else:
            # A budget would keep it, and it serves nobody.
            platform.api.delete("Pod", name, uid=uid)
        fault_point("kubernetes.replace.after")
    return tuple(str(p["metadata"]["name"]) for p in pods)


def _evict(spec: StepSpec, acting: Acting, pod: str, uid: str) -> None:
    ends_s = acting.clock.monotonic_s() + _BUDGET_S
    while True:
        try:
            return platform_of(acting).api.evict(pod, uid=uid)
        except Budgeted as error:
            if acting.clock.monotonic_s() >= ends_s:
                raise StepFailed(
                    msg("Pod {pod} of {workload} is not replaced: {why}", pod=pod, workload=text(spec, "workload"),
                        why=str(error.what)),
                    state=msg("The pod goes on as it is."),
                    next_command=error.next_command + "   # once it allows one: backout resume",
                ) from None  # fmt: skip
        acting.clock.wait(_POLL_S)


def by_hand(spec: StepSpec) -> tuple[str, ...]:
    """Return what a person would type."""
    kubectl = text(spec, "kubectl")
    return (
        f"{kubectl} get pods -L controller-revision-hash   # not ready, and of another revision:",
        f"{kubectl} delete pod POD",
        f"{kubectl} rollout status {text(spec, 'workload')}",
    )


def stuck(seen: Seen, wanted: str) -> list[Object]:
    """Return the pods that have to be deleted now: the unready ones of another template; by OnDelete one ready one."""
    others = [p for p in seen.pods if seen.hash_of_pod(p) != wanted and not is_ending(p)]
    unready = [p for p in others if not is_ready(p)]
    strategy = (seen.object["spec"].get("updateStrategy") or {}).get("type")
    if unready or strategy != "OnDelete":
        return unready
    all_ready = len(seen.ready) >= seen.replicas
    return others[:1] if all_ready else []
