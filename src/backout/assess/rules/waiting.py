"""Rules about sessions of the database that keep others waiting."""

from __future__ import annotations

from collections.abc import Iterator

from backout.assess.model import Case
from backout.message import msg
from backout.plan.model import Finding, Severity

_SHOWN = 100


def blocked(case: Case) -> Iterator[Finding]:
    """Sessions wait for locks: whoever keeps them waiting may be all that is wrong."""
    sessions = case.facts.waiting or ()
    root = next((one for one in sessions if one.depth == 0), None)
    if root is None:
        return
    yield Finding(
        rule="database.blocked",
        severity=Severity.WARNS,
        evidence=msg(
            "{count} session(s) wait for locks, the first behind process {pid} ({who}), whose transaction is open for {seconds} s: {query}.",
            count=sum(one.depth > 0 for one in sessions),
            pid=root.pid,
            who=root.application or root.role or root.kind,
            seconds=f"{root.seconds:.0f}",
            query=(root.query or "not shown")[:_SHOWN],
        ),
        remedy=msg(
            "A migration that hangs may be all that is wrong: look at it first, and end it: backout db blockers --end."
        ),
        command="backout db blockers",
    )


RULES = (blocked,)
