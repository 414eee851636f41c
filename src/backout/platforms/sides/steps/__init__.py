"""The kinds of step of the `sides` platform: one file each."""

from __future__ import annotations

from collections.abc import Mapping

from backout.plan.base import StepKind
from backout.platforms.sides.steps.drain import DrainStep
from backout.platforms.sides.steps.ready import ReadyStep
from backout.platforms.sides.steps.running import StartStep, StopStep
from backout.platforms.sides.steps.shift import ShiftStep


def step_kinds() -> Mapping[str, StepKind]:
    """Return them by name."""
    kinds: tuple[StepKind, ...] = (ReadyStep(), ShiftStep(), DrainStep(), StartStep(), StopStep())
    return {one.kind: one for one in kinds}
