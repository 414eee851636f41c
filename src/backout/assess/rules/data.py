"""Rules about damaged data."""

from __future__ import annotations

from collections.abc import Iterator

from backout.assess.model import Case
from backout.message import msg
from backout.plan.model import Finding, Scenario, Severity


def stays_damaged(case: Case) -> Iterator[Finding]:
    """The person says that data is damaged, and asks for the code alone."""
    if case.request.cause in ("data", "both") and case.request.scenario is Scenario.CODE:
        yield Finding(
            rule="data.stays-damaged",
            severity=Severity.NEEDS_APPROVAL,
            evidence=msg(
                "The cause given is {cause}: taking the code back does not repair the data.",
                cause=case.request.cause,
            ),
            remedy=msg(
                "Choose --scenario full, or accept that the data stays as it is: --accept data-stays-damaged."
            ),
            accept="data-stays-damaged",
        )


RULES = (stays_damaged,)
