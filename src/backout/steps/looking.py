"""What steps share that only look: they are done once they were carried out in this run, and leave nothing behind."""

from __future__ import annotations

from backout.message import msg
from backout.plan.base import Acting, Probe, Probed, World
from backout.plan.model import Hazard, StepSpec


class LookingStep:
    """A step that changes nothing: done when this run holds its receipt."""

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return nothing: looking harms nothing."""
        return ()

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """Return the world as it is."""
        return (world,)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Return None: there is nothing to undo."""
        return None

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Look for this step's own receipt in the run."""
        key = acting.step_name.rpartition("/")[2]
        if key in acting.confirmed:
            return Probe(answer=Probed.DONE, evidence=acting.confirmed[key].what)
        return Probe(answer=Probed.NOT_DONE, evidence=msg("Not looked yet."))

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Expect nothing."""
