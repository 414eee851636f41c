"""How long a run kept requests away, and what it put away, as its own steps tell it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backout.execute.held import held_before, held_now, steps_of
from backout.execute.run import Run, StepState
from backout.observed import KEEPS_REQUESTS_AWAY


@dataclass(frozen=True, slots=True)
class HeldTime:
    """How long requests were kept away: from the first hold's begin to the last one's end, an upper bound.

    Attributes:
        seconds: Null when it held before the run began: this journal does not know since when.
        still: Whether it holds yet.
    """

    seconds: float | None
    still: bool


def held_time(run: Run, now: datetime) -> HeldTime | None:
    """Return how long requests were kept away by this run; None if they were not."""
    keeping = [(p, s) for p, s in steps_of(run) if s.params.get("mode") in KEEPS_REQUESTS_AWAY]
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
    for progress, spec in steps_of(run):
        if progress.state is StepState.CONFIRMED and spec.kind == "quarantine":
            versions[str(spec.params.get("version"))] = None
        elif progress.state is StepState.CONFIRMED and spec.kind == "quarantine.lift":
            versions.pop(str(spec.params.get("version")), None)
    return tuple(versions)
