"""Rules about what can hold requests and writes."""

from __future__ import annotations

from collections.abc import Iterator

from backout.assess.model import Case
from backout.message import msg
from backout.observed import Answer
from backout.plan.model import Finding, Severity


def cannot_tell(case: Case) -> Iterator[Finding]:
    """A means of holding does not answer: requests are not held during the switch."""
    for hold in case.facts.holds:
        if hold.held is Answer.UNKNOWN and not hold.left_holding and hold.mode is None:
            yield Finding(
                rule="hold.unknown",
                severity=Severity.WARNS,
                evidence=msg("Whether {name} holds cannot be told: it does not answer.", name=hold.name),
                remedy=msg(
                    "backout doctor says what is wrong; without it requests may fail during the switch."
                ),
            )


def left_holding(case: Case) -> Iterator[Finding]:
    """A means of holding does not answer, and held when it was last used: the plan cannot let it go."""
    for hold in case.facts.holds:
        if hold.held is Answer.UNKNOWN and hold.left_holding and hold.mode is None:
            yield Finding(
                rule="hold.left-holding",
                severity=Severity.NEEDS_APPROVAL,
                evidence=msg(
                    "{name} does not answer, and the journal says that it holds: "
                    "requests or writes may stay stopped after the way back.",
                    name=hold.name,
                ),
                remedy=msg(
                    "Make it answer (backout doctor); or go back without it, --accept hold-unknown, "
                    "and let go as soon as it answers: backout release-hold."
                ),
                accept="hold-unknown",
            )


def still_inside(case: Case) -> Iterator[Finding]:
    """A means of holding keeps new requests away, and what came before is not at its end: the plan cannot let it go."""
    for hold in case.facts.holds:
        if hold.held is Answer.UNKNOWN and hold.mode is not None:
            yield Finding(
                rule="hold.still-inside",
                severity=Severity.NEEDS_APPROVAL,
                evidence=msg(
                    "{name} holds ({mode}), and requests that came before are still inside: "
                    "requests may stay stopped after the way back.",
                    name=hold.name,
                    mode=hold.mode,
                ),
                remedy=msg(
                    "Finish the hold (backout hold), or let go (backout release-hold), and plan again; "
                    "or go back without it, --accept hold-unknown."
                ),
                accept="hold-unknown",
            )


def held_already(case: Case) -> Iterator[Finding]:
    """Something is held already; the plan lets it go at its end."""
    for hold in case.facts.holds:
        if hold.held is Answer.YES:
            yield Finding(
                rule="hold.in-force",
                severity=Severity.INFO,
                evidence=msg(
                    "{name} holds already ({mode}); it is let go once the earlier release serves.",
                    name=hold.name,
                    mode=hold.mode,
                ),
            )


RULES = (cannot_tell, left_holding, still_inside, held_already)
