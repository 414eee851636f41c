"""The steps that this platform adds: stop a release, point the link, start a release."""

from __future__ import annotations

from collections.abc import Mapping

from backout.plan.base import StepKind
from backout.platforms.process.steps.link import LinkStep
from backout.platforms.process.steps.start import StartStep
from backout.platforms.process.steps.stop import StopStep


def step_kinds() -> Mapping[str, StepKind]:
    """Return the step kinds by name."""
    kinds: tuple[StepKind, ...] = (StopStep(), LinkStep(), StartStep())
    return {kind.kind: kind for kind in kinds}
