"""The steps that this platform adds: another template, never-ready pods replaced, a restart."""

from __future__ import annotations

from collections.abc import Mapping

from backout.plan.base import StepKind
from backout.platforms.kubernetes.steps.keep_one import KeepOneStep
from backout.platforms.kubernetes.steps.replace import ReplaceStep
from backout.platforms.kubernetes.steps.restart import RestartStep
from backout.platforms.kubernetes.steps.template import TemplateStep


def step_kinds() -> Mapping[str, StepKind]:
    """Return the step kinds by name."""
    kinds: tuple[StepKind, ...] = (TemplateStep(), ReplaceStep(), RestartStep(), KeepOneStep())
    return {kind.kind: kind for kind in kinds}
