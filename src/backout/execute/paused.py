"""What a run paused and did not let go on, as its own steps tell it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backout.execute.held import steps_of
from backout.execute.run import Run, StepState
from backout.steps.automation import PAUSE, RESUME


@dataclass(frozen=True, slots=True)
class Paused:
    """One automation that a run left paused, or perhaps did.

    Attributes:
        resume: The command that lets it go on.
    """

    name: str
    resume: str
    at: datetime


def touched(run: Run) -> dict[str, Paused | None]:
    """Return by name what the newest step about it left: paused (or perhaps so), or None: it goes on."""
    found: dict[str, Paused | None] = {}
    for progress, spec in steps_of(run):
        if spec.kind not in (PAUSE, RESUME) or progress.state is StepState.PENDING:
            continue
        name = str(spec.params["name"])
        # One that acted paused it, seen or not; only what was seen to let it go on did.
        if spec.kind == PAUSE:
            at = progress.confirmed_at or progress.begun_at or run.created_at
            found[name] = Paused(name, str(spec.params["resume"]), at)
        elif progress.state is StepState.CONFIRMED:
            found[name] = None
    return found


def paused_now(run: Run) -> tuple[Paused, ...]:
    """Return what this run left paused."""
    return tuple(one for one in touched(run).values() if one is not None)
