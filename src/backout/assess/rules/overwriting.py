"""Rules about ways back that overwrite the live database instead of keeping it."""

from __future__ import annotations

from collections.abc import Iterator

from backout.assess.model import Case
from backout.assess.ways import way_in
from backout.message import msg
from backout.observed import KEEPS_REQUESTS_AWAY, KEEPS_WRITES_AWAY, Answer
from backout.plan.model import Finding, Severity, Way

_STOP_WRITES = (*KEEPS_REQUESTS_AWAY, *KEEPS_WRITES_AWAY)


def overwrites(case: Case) -> Iterator[Finding]:
    """The live database itself is written over: there is no swap back."""
    if way_in(case) in (Way.COMMAND, Way.TABLES):
        yield Finding(
            rule="restore.overwrites",
            severity=Severity.WARNS,
            evidence=msg("The live database is overwritten: nothing swaps back what is in it now."),
            remedy=msg(
                "Writes are held from the safety backup on until it is done; the plan says for how long."
            ),
        )


def no_safety(case: Case) -> Iterator[Finding]:
    """The person wants no backup of what is overwritten."""
    if way_in(case) in (Way.COMMAND, Way.TABLES) and "no-safety-backup" in case.request.accept:
        yield Finding(
            rule="restore.no-safety-backup",
            severity=Severity.LOSES_DATA,
            evidence=msg("No safety backup is made: what is overwritten is gone, whatever the outcome."),
            remedy=msg("Leave out --accept no-safety-backup unless every second counts more than that."),
            accept="no-safety-backup",
        )


def not_held(case: Case) -> Iterator[Finding]:
    """Nothing can hold writes: what is written meanwhile would be in no backup and in no database."""
    if way_in(case) not in (Way.COMMAND, Way.TABLES):
        return
    answering = [hold for hold in case.facts.holds if hold.held is not Answer.UNKNOWN]
    if not any(mode in _STOP_WRITES for hold in answering for mode in hold.modes):
        yield Finding(
            rule="restore.cannot-hold",
            severity=Severity.BLOCKS,
            evidence=msg("Nothing can hold writes back while the live database is overwritten."),
            remedy=msg("Configure a router, or let the database refuse writes (hold.database: true)."),
        )


def unfit(case: Case) -> Iterator[Finding]:
    """A table that was asked for cannot go back alone."""
    data = case.facts.data.value if case.facts.data is not None else None
    if way_in(case) is not Way.TABLES or data is None:
        return
    for reason in data.unfit:
        yield Finding(
            rule="tables.unfit",
            severity=Severity.BLOCKS,
            evidence=msg("{reason}", reason=str(reason)),
            remedy=msg("Name other tables, or take the whole database back: leave out --tables."),
        )


RULES = (overwrites, no_safety, not_held, unfit)
