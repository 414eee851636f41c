"""How the version that runs came there: by which run, when, instead of what, and what was seen of it since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backout.app.parts import Parts
from backout.checks.base import Outcome, Verification
from backout.checks.probes import ProbesCheck
from backout.document import Json
from backout.execute.journal import Event
from backout.execute.run import Run, RunState, fold
from backout.plan.model import Phase
from backout.release import Baseline, Release

_SWITCHING = (Phase.REVERT_CODE, Phase.SWAP_DATA, Phase.START_CODE)
_TURNS = ("run.created", "run.verified", "release.recorded", "release.verified")
"""Events after which other releases serve, or other proof counts."""


@dataclass(frozen=True, slots=True)
class Back:
    """How a version came back.

    Attributes:
        at: When the newest run switched to it; None: no run did.
        bad: The release that was backed out.
        earlier: What the newest verification of that run, or since the version was recorded, saw while it
            proved too little.
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
            earlier = _since_recorded(parts, version) or (_of_run(parts, run) if newest else None)
            return Back(max(switched, default=None), bad, earlier)
        newest = newest and run.plan.purpose not in ("back", "abort")
    return Back(earlier=_since_recorded(parts, version))


def note_proof(parts: Parts, release: Release, found: Verification) -> None:
    """Journal what a verification saw of a release that no run brought, so that the next one can go on with it."""
    body: dict[str, Json] = {"release": release.id, "verification": found.model_dump(mode="json")}
    parts.journal.append("release.verified", body)


def _of_run(parts: Parts, run: Run) -> Baseline | None:
    """Return what was seen of this release since the run brought it; None where that counts no more."""
    if run.state is not RunState.FINISHED:
        return None
    if any(r.deployed_at > run.created_at for r in parts.book.newest(1)):
        return None  # Another release was deployed since: what serves now is not what was looked at.
    return _too_little(parts, run.verification)


def _since_recorded(parts: Parts, version: str) -> Baseline | None:
    """Return what was seen of this release since its record was made, if that is the newest that was journalled."""
    release = parts.book.by_version(version)
    for event in reversed(parts.journal.events(kinds=_TURNS, newest=20)):
        if event.kind == "run.created" and not _switches(event):
            continue
        if event.kind != "release.verified" or release is None or event.body["release"] != release.id:
            return None
        if any(r.deployed_at > event.at for r in parts.book.newest(1)):
            return None  # Another machine recorded another release since.
        return _too_little(parts, Verification.model_validate(event.body["verification"]))
    return None


def _too_little(parts: Parts, found: Verification | None) -> Baseline | None:
    """Return what was seen, if an error rate of which too little was seen is all that it lacks.

    What failed or was proven is asked anew: a good hour must not cover for the minute in which somebody
    asks again.
    """
    if found is None or found.outcome is not Outcome.INCONCLUSIVE:
        return None
    probes = next((c.name for c in parts.checks if isinstance(c, ProbesCheck)), None)
    said = [r for r in found.results if r.name == probes and r.proves in ("error_rate", "other")]
    return found.baseline if any(r.outcome is Outcome.INCONCLUSIVE for r in said) else None


def _switches(created: Event) -> bool:
    plan = created.body["plan"]
    return isinstance(plan, dict) and plan.get("purpose") in ("back", "abort")
