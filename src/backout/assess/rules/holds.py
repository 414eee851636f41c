"""Rules about what can hold requests and writes."""

from __future__ import annotations

from collections.abc import Iterator

from backout.assess.model import Case
from backout.facts import Answer
from backout.message import msg
from backout.plan.model import Finding, Severity


def cannot_tell(case: Case) -> Iterator[Finding]:
    """A means of holding does not answer: requests are not held during the switch."""
    for hold in case.facts.holds:
        if hold.held is Answer.UNKNOWN:
            yield Finding(
                rule="hold.unknown",
                severity=Severity.WARNS,
                evidence=msg("Whether {name} holds cannot be told: it does not answer.", name=hold.name),
                remedy=msg(
                    "backout doctor says what is wrong; without it requests may fail during the switch."
                ),
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


RULES = (cannot_tell, held_already)
