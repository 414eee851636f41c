"""What a run holds and what it put away, as its own steps tell it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backout.execute.run import Run, StepProgress, StepState
from backout.plan.model import Plan, StepSpec

KEEPS_REQUESTS_AWAY = ("queue", "maintenance")


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


@dataclass(frozen=True, slots=True)
class HeldTime:
    """How long requests were kept away: from the first hold's begin to the last one's end, an upper bound.

    Attributes:
        seconds: Null when it held before the run began: this journal does not know since when.
        still: Whether it holds yet.
    """

    seconds: float | None
    still: bool


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
    for progress, spec in _steps(run):
        name, mode = str(spec.params.get("name")), str(spec.params.get("mode"))
        if progress.state is StepState.PENDING:
            continue
        certain = progress.state is StepState.CONFIRMED
        if spec.kind == "hold":
            before = name in held and held[name].before
            held[name] = Held(name, mode, certain, before)
        elif spec.kind == "hold.release":
            was = held.pop(name, None)
            if not certain:
                held[name] = Held(name, mode, certain=False, before=was is not None and was.before)
    return tuple(held.values())


def held_time(run: Run, now: datetime) -> HeldTime | None:
    """Return how long requests were kept away by this run; None if they were not."""
    keeping = [(p, s) for p, s in _steps(run) if s.params.get("mode") in KEEPS_REQUESTS_AWAY]
    begins = [p.begun_at for p, s in keeping if s.kind == "hold" and p.begun_at is not None]
    ends = [p.confirmed_at for p, s in keeping if s.kind == "hold.release" and p.confirmed_at is not None]
    still = any(h.mode in KEEPS_REQUESTS_AWAY for h in held_now(run))
    before = any(mode in KEEPS_REQUESTS_AWAY for mode in held_before(run.plan).values())
    if not begins and not before:
        return None
    if before or not begins:
        return HeldTime(seconds=None, still=still)
    end = now if still or not ends else max(ends)
    return HeldTime(seconds=(end - min(begins)).total_seconds(), still=still)


def quarantined_now(run: Run) -> tuple[str, ...]:
    """Return the versions that this run quarantined and did not let out again."""
    versions: dict[str, None] = {}
    for progress, spec in _steps(run):
        if progress.state is StepState.CONFIRMED and spec.kind == "quarantine":
            versions[str(spec.params.get("version"))] = None
        elif progress.state is StepState.CONFIRMED and spec.kind == "quarantine.lift":
            versions.pop(str(spec.params.get("version")), None)
    return tuple(versions)


def _steps(run: Run) -> list[tuple[StepProgress, StepSpec]]:
    return [(p, s.spec) for p, s in zip(run.steps, run.plan.steps, strict=True)]
