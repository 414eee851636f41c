"""What a run holds, as its own steps tell it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from backout.execute.run import Run, StepProgress, StepState
from backout.observed import REFUSE_CONNECTIONS
from backout.plan.base import PASSING
from backout.plan.model import Plan, StepSpec


@dataclass(frozen=True, slots=True)
class Held:
    """One means that holds, or may hold, as this run left it.

    Attributes:
        certain: False when the step that holds or lets go has no end in the journal.
        before: Whether it held already when the run began.
    """

    name: str
    mode: str
    certain: bool
    before: bool


def held_before(plan: Plan) -> dict[str, str]:
    """Return what held when a plan was made, by name with its mode: what it lets go and never holds."""
    held: dict[str, str] = {}
    taken: set[str] = set()
    for spec in (s.spec for s in plan.steps):
        name = str(spec.params.get("name"))
        if spec.kind == "hold":
            taken.add(name)
        elif spec.kind == "hold.release" and name not in taken:
            held[name] = str(spec.params.get("mode"))
    return held


def held_now(run: Run) -> tuple[Held, ...]:
    """Return what still holds, or may hold, after the newest event of the run."""
    held = {name: Held(name, mode, certain=True, before=True) for name, mode in held_before(run.plan).items()}
    for progress, spec in steps_of(run):
        name, mode = str(spec.params.get("name")), str(spec.params.get("mode"))
        if progress.state is StepState.PENDING:
            continue
        certain = progress.state is StepState.CONFIRMED
        if spec.kind == "hold":
            before = name in held and held[name].before
            held[name] = Held(name, mode, certain, before)
        elif spec.kind == "hold.proof" and progress.receipt and PASSING in progress.receipt.data:
            # The proof found writes, and went further than the hold before it.
            if spec.target in held:
                held[spec.target] = replace(held[spec.target], mode=REFUSE_CONNECTIONS)
        elif spec.kind == "hold.release":
            was = held.pop(name, None)
            if not certain:
                held[name] = Held(name, mode, certain=False, before=was is not None and was.before)
    return tuple(held.values())


def steps_of(run: Run) -> list[tuple[StepProgress, StepSpec]]:
    """Return each step's progress with what it does, in order."""
    return [(p, s.spec) for p, s in zip(run.steps, run.plan.steps, strict=True)]
