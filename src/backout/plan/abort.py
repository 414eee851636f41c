"""Plans the undoing of a run: the inverses of what it began, backwards. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from backout.errors import Refused
from backout.message import msg
from backout.plan.assembly import HARMLESS, Terms, numbered
from backout.plan.base import StepKind
from backout.plan.model import Estimate, Phase, Plan

_ABORT_PHASE = {
    Phase.RELEASE_HOLD: Phase.HOLD,
    Phase.HOLD: Phase.RELEASE_HOLD,
    Phase.SAFEGUARD: Phase.CLEAN_UP,
}

CHANGES_DATABASE = ("data.swap", "data.switch")
"""Kinds of steps after which another database is the live one, and the old one is kept."""


def plan_abort(
    original: Plan,
    begun: Sequence[str],
    kinds: Mapping[str, StepKind],
    terms: Terms,
    serving: tuple[tuple[str, ...], ...],
) -> Plan:
    """Return the plan that undoes what a run began: the inverses of its steps, backwards.

    Args:
        original: The plan of the run that is undone.
        begun: Keys of the steps that it began.
        kinds: Every kind of step.
        terms: What the plan is made under.
        serving: What may serve where that run stopped; see `Plan.serving`.

    Raises:
        Refused: The run is past its point of no return.
    """
    undone = [s for s in original.steps if s.key in begun]
    for step in undone:
        if step.inverse is None and step.no_inverse_because not in HARMLESS:
            raise Refused(
                msg("Step {key} cannot be undone: {why}", key=step.key, why=str(step.no_inverse_because)),
                state=msg("The run is past its point of no return."),
                next_command="backout resume",
            )
    # A service whose database is swapped or switched back has to reach it again, as after the swap itself.
    again = [s.spec for s in original.steps if s.spec.kind == "service.reconnect"]
    specs = [
        (_ABORT_PHASE.get(s.phase, s.phase), spec)
        for s in reversed(undone)
        if s.inverse is not None
        for spec in (s.inverse, *(again if s.inverse.kind in CHANGES_DATABASE else ()))
    ]
    steps = numbered(specs, kinds)
    return original.model_copy(
        update={
            "id": terms.plan_id,
            "purpose": "abort",
            "from_version": original.to_version,
            "to_version": original.from_version,
            "from_artefact": original.to_artefact,
            "to_artefact": original.from_artefact,
            "created_at": terms.now,
            "expires_at": terms.now + timedelta(seconds=terms.expires_s),
            "why": msg("What the run began is undone, backwards."),
            "steps": steps,
            "estimates": {},
            "total": Estimate(),
            "downtime": None,
            "hazards": {},
            "point_of_no_return": None,
            "losses": (),
            # They were counted for the run; what is live now has others.
            "data": original.data and original.data.model_copy(update={"counts": ()}),
            "serving": serving,
        }
    )
