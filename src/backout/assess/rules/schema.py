"""Rules about the schema: can the earlier code read and write it as it stands?"""

from __future__ import annotations

from collections.abc import Iterator

from backout.assess.model import Case
from backout.observed import Answer
from backout.plan.model import Finding, Severity


def usable(case: Case) -> Iterator[Finding]:
    """The target can use the schema, cannot, or nobody knows."""
    if case.runs_already:
        return  # Whatever it can do with the schema, it does it now.
    found = case.compatibility
    if found.answer is Answer.YES:
        yield Finding(rule="schema.usable", severity=Severity.INFO, evidence=found.evidence)
    elif found.answer is Answer.NO:
        yield Finding(
            rule="schema.unusable", severity=Severity.BLOCKS, evidence=found.evidence, remedy=found.remedy
        )
    else:
        yield Finding(
            rule="schema.unknown",
            severity=Severity.NEEDS_APPROVAL,
            evidence=found.evidence,
            remedy=found.remedy,
            accept="schema-unknown",
        )


RULES = (usable,)
