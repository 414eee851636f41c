"""The steps that shut a release away, or let one back in, with what undoing them puts back. Pure."""

from __future__ import annotations

from backout.document import Json
from backout.facts import Facts
from backout.plan.model import StepSpec
from backout.release import Quarantine, ReleaseState

_TIMEOUT_S = 15.0


def quarantine_spec(facts: Facts, version: str, to_version: str) -> StepSpec:
    """Return the step that shuts a version away; undone, its record says again what it says now."""
    before = _recorded_state(facts, version)
    params: dict[str, Json] = {"version": version, "reason": f"backed out to {to_version}"}
    params |= {"quarantined_as": ReleaseState.BAD.value, "lifted_as": before.value if before else None}
    return StepSpec(kind="quarantine", target="records", params=params, timeout_s=_TIMEOUT_S)


def lift_spec(facts: Facts, entry: Quarantine) -> StepSpec:
    """Return the step that lets a version back in, as one that has to prove itself anew.

    Undone, the entry stands as it stands now, and the record says again what it says now.
    """
    before = _recorded_state(facts, entry.version) or ReleaseState.BAD
    params: dict[str, Json] = entry.model_dump(mode="json")
    params |= {"quarantined_as": before.value, "lifted_as": ReleaseState.UNKNOWN.value}
    return StepSpec(kind="quarantine.lift", target="records", params=params, timeout_s=_TIMEOUT_S)


def _recorded_state(facts: Facts, version: str) -> ReleaseState | None:
    recorded = (r for r in facts.releases if r.version == version and r.source == "recorded")
    return next((r.state for r in recorded), None)
