"""`kubernetes.restart`: starts every pod of a workload anew, as `rollout restart` does."""

from __future__ import annotations

from typing import ClassVar

from backout.faults import fault_point
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import StepSpec
from backout.platforms.kubernetes.history import need
from backout.platforms.kubernetes.steps import specs
from backout.platforms.kubernetes.steps.base import (
    Object,
    WorkloadStep,
    platform_of,
    rolling,
    workload_of,
    write,
)
from backout.platforms.kubernetes.steps.specs import text
from backout.platforms.kubernetes.template import RESTARTED


class RestartStep(WorkloadStep):
    """The step's own name is the annotation: a second try finds it, and restarts nothing again."""

    kind: ClassVar[str] = specs.RESTART

    def describe(self, spec: StepSpec) -> Message:
        """Say what the step does."""
        return msg("Restart every pod of {workload}.", workload=text(spec, "workload"))

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would type."""
        kubectl, workload = text(spec, "kubectl"), text(spec, "workload")
        return f"{kubectl} rollout restart {workload}", f"{kubectl} rollout status {workload}"

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """The same version serves before, meanwhile and afterwards."""
        return (world,)

    def inverse(self, spec: StepSpec) -> StepSpec:
        """Return the same: what was restarted runs the same release; undone it is restarted once more."""
        return spec

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look whether this step restarted it, and how far the pods are."""
        obj = need(platform_of(acting).api, workload_of(spec), 20.0)
        annotations = (obj["spec"]["template"].get("metadata") or {}).get("annotations") or {}
        if annotations.get(RESTARTED) != acting.step_name:
            evidence = msg("{workload} was not restarted", workload=text(spec, "workload"))
            return Probe(answer=Probed.NOT_DONE, evidence=evidence)
        return rolling(spec, acting, obj)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Write the annotation. Idempotent: by the step's name."""

        def change(obj: Object) -> bool:
            meta = obj["spec"]["template"].setdefault("metadata", {})
            annotations = meta.get("annotations") or {}
            if annotations.get(RESTARTED) == acting.step_name:
                return False
            meta["annotations"] = {**annotations, RESTARTED: acting.step_name}
            fault_point("kubernetes.restart.before")
            return True

        if write(spec, acting, change):
            fault_point("kubernetes.restart.after")
        return Receipt(what=msg("{workload} restarts", workload=text(spec, "workload")))
