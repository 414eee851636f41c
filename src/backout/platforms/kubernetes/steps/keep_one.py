"""`kubernetes.keep_one`: takes one pod of the bad release off the Service and off its workload, for the post-mortem."""

from __future__ import annotations

import dataclasses
import json
from typing import ClassVar

from backout.faults import fault_point
from backout.kubernetes.pods import is_ending, is_ready
from backout.message import Message, msg
from backout.plan.assembly import MADE_ANEW
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.platforms.kubernetes.history import read
from backout.platforms.kubernetes.lease import need_generation
from backout.platforms.kubernetes.names import label_value
from backout.platforms.kubernetes.seen import Object, Seen, has_run
from backout.platforms.kubernetes.steps import specs
from backout.platforms.kubernetes.steps.base import WorkloadStep, platform_of, workload_of
from backout.platforms.kubernetes.steps.specs import text

KEPT, _LABELS, _STEP = "backout/kept", "backout/labels", "backout/step"


class KeepOneStep(WorkloadStep):
    """A pod without labels is no one's: the Service sends it nothing, and its controller makes another in its place."""

    kind: ClassVar[str] = specs.KEEP_ONE

    def describe(self, spec: StepSpec) -> Message:
        """Say what the step does."""
        return msg(
            "Take one pod of {version} off {workload} and its Service, to be looked at later.",
            version=text(spec, "version"),
            workload=text(spec, "workload"),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return what a person would type."""
        kubectl = text(spec, "kubectl")
        return (
            f"{kubectl} get pods --show-labels   # choose one; take every label away:",
            f"{kubectl} label pod POD {KEPT}=yes app- pod-template-hash-",
        )

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("The pod goes on without requests: what it does by itself (a queue, a timer) it still does"),
                then=msg(
                    "Delete it when it was looked at: {command}",
                    command=f"{text(spec, 'kubectl')} delete pod -l {KEPT}",
                ),
            ),
        )  # fmt: skip

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """The version acts without requests from now on."""
        return world, dataclasses.replace(world, workers=world.workers | {text(spec, "version")})

    def inverse(self, spec: StepSpec) -> None:
        """Return None: the workload has another pod in its place, and the kept one is deleted by a person."""
        return

    def no_inverse_because(self, spec: StepSpec) -> Message:
        """Say that a way back from here is open all the same."""
        return MADE_ANEW

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look for the pod that this step kept, or its receipt that there was none."""
        pods = platform_of(acting).api.list("Pod", KEPT)
        for pod in pods:
            if (pod["metadata"].get("annotations") or {}).get(_STEP) == acting.step_name:
                return Probe(answer=Probed.DONE, evidence=msg("Kept: pod {pod}", pod=pod["metadata"]["name"]))
        receipt = acting.confirmed.get(acting.step_name.rpartition("/")[2])
        if receipt is not None:
            return Probe(answer=Probed.DONE, evidence=receipt.what)
        return Probe(answer=Probed.NOT_DONE, evidence=msg("No pod is kept yet"))

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Take the labels off one pod, one that is in trouble first. Idempotent by the step's name."""
        platform = platform_of(acting)
        need_generation(platform.api, platform.site.service, acting)
        seen = read(platform.api, workload_of(spec), 20.0)
        pod = to_keep(seen, text(spec, "template"))
        if pod is None:
            return Receipt(what=msg("No pod of {version} runs: none is kept", version=text(spec, "version")))
        meta = pod["metadata"]
        labels = dict.fromkeys(meta.get("labels") or {})
        annotations = {_LABELS: json.dumps(meta.get("labels") or {}), _STEP: acting.step_name}
        changed = {
            "labels": {**labels, KEPT: label_value(platform.site.service)},
            "annotations": annotations,
            "resourceVersion": meta["resourceVersion"],
        }
        fault_point("kubernetes.keep_one.before")
        platform.api.patch("Pod", str(meta["name"]), {"metadata": changed})
        fault_point("kubernetes.keep_one.after")
        return Receipt(what=msg("Kept: pod {pod}", pod=meta["name"]), data={"pod": str(meta["name"])})


def to_keep(seen: Seen, template: str) -> Object | None:
    """Return a pod of a template whose program runs and goes on running, one that is in trouble first; None: there is none."""
    pods = [p for p in seen.pods if has_run(p) and not is_ending(p) and seen.hash_of_pod(p) == template]
    return min(pods, key=is_ready, default=None)
