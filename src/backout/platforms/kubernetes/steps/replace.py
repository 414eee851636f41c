"""`kubernetes.replace`: deletes pods of another template that will never be ready or are never replaced by themselves."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from backout.message import Message, msg
from backout.plan.assembly import MADE_ANEW
from backout.plan.base import Acting, Probe, Receipt, World
from backout.plan.model import StepSpec
from backout.platforms.kubernetes.steps import specs
from backout.platforms.kubernetes.steps.base import WorkloadStep
from backout.platforms.kubernetes.steps.specs import ends, text
from backout.platforms.kubernetes.steps.stuck import by_hand, delete_stuck, probe_stuck


class ReplaceStep(WorkloadStep):
    """A StatefulSet whose pods start in order waits for one that never becomes ready, also with a good template.

    Source: kubernetes.io, "StatefulSets", forced rollback. With the strategy OnDelete nobody replaces pods at all:
    then one ready pod at a time is evicted, as PodDisruptionBudgets allow.
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
        return by_hand(spec)

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
        """Return None: deleted pods come again by themselves, and what gives the template back replaces its own."""
        return

    def no_inverse_because(self, spec: StepSpec) -> Message:
        """Say that a way back from here is open all the same."""
        return MADE_ANEW

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look how far the pods are; while one has to be deleted, nothing is under way by itself."""
        return probe_stuck(spec, acting)

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """End what is stuck now, by uid. Idempotent."""
        names = ", ".join(delete_stuck(spec, acting))
        return Receipt(what=msg("Deleted: {pods}", pods=names or "nothing"))
