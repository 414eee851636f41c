"""How the version that runs came back: by which run, when, instead of what, and what was seen of it since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backout.app.parts import Parts
from backout.checks.base import Outcome
from backout.checks.probes import ProbesCheck
from backout.execute.run import Run, RunState, fold
from backout.plan.model import Phase
from backout.release import Baseline, Release

_SWITCHING = (Phase.REVERT_CODE, Phase.SWAP_DATA, Phase.START_CODE)


@dataclass(frozen=True, slots=True)
class Back:
    """How a version came back.

    Attributes:
        at: When the newest run switched to it; None: no run did.
        bad: The release that was backed out.
        earlier: What the newest verification of that run saw, while it proved too little.
    """

    at: datetime | None = None
    bad: Release | None = None
    earlier: Baseline | None = None


def brought_back(parts: Parts, version: str) -> Back:
    """Return how the newest run brought a version back."""
    newest = True
    for created in reversed(parts.journal.events(kinds=("run.created",), newest=10)):
        run = fold(parts.journal.events(created.run))
        if run.plan.purpose == "back" and run.plan.to_version == version:
            switched = [
                s.confirmed_at
                for s in run.steps
                if s.confirmed_at is not None and run.plan.step(s.key).phase in _SWITCHING
            ]
            bad = parts.book.by_version(run.plan.from_version) if run.plan.from_version else None
            return Back(max(switched, default=None), bad, _earlier(parts, run) if newest else None)
        newest = newest and run.plan.purpose not in ("back", "abort")
    return Back()


def _earlier(parts: Parts, run: Run) -> Baseline | None:
    """Return what was seen of this release already; None where that counts no more.

    Only an error rate of which too little was seen is gone on with. What failed or was proven is asked anew:
    a good hour must not cover for the minute in which somebody asks again.
    """
    found = run.verification
    if found is None or found.outcome is not Outcome.INCONCLUSIVE or run.state is not RunState.FINISHED:
        return None
    probes = next((c.name for c in parts.checks if isinstance(c, ProbesCheck)), None)
    said = [r for r in found.results if r.name == probes and r.proves in ("error_rate", "other")]
    if not any(r.outcome is Outcome.INCONCLUSIVE for r in said):
        return None
    if any(r.deployed_at > run.created_at for r in parts.book.newest(1)):
        return None  # Another release was deployed since: what serves now is not what was looked at.
    return found.baseline
