"""Why a plan may not run. Pure."""

from __future__ import annotations

import shlex
from datetime import datetime

from backout.errors import BackoutError, NeedsAcceptance, Refused
from backout.message import msg
from backout.plan.model import Plan, Scenario, Severity

_STOPPING = (Severity.BLOCKS, Severity.LOSES_DATA, Severity.NEEDS_APPROVAL)


def words_of(plan: Plan) -> str:
    """Return the options that ask for the same way back again: the same version, scenario, backup and ceiling."""
    words = [f"--to {plan.named}"]
    if plan.scenario is Scenario.SCHEMA:
        words.append(f"--scenario {plan.scenario.value}")
    if plan.data is not None:
        words += [f"--scenario {plan.scenario.value}", f"--backup {shlex.quote(plan.data.backup)}"]
        if plan.data.tables:
            words.append(f"--tables {shlex.quote(','.join(plan.data.tables))}")
        if plan.data.ceiling_rows is not None:
            words.append(f"--max-loss {plan.data.ceiling_rows}")
    return " ".join(words)


def refusal(plan: Plan, now: datetime) -> BackoutError | None:
    """Return why the plan may not run: a finding that blocks or that nobody accepted; None if it may."""
    open_findings = [
        f
        for f in plan.findings
        if f.severity in _STOPPING and (f.accept is None or f.accept not in plan.accepted)
    ]
    if not open_findings:
        return None
    worst = min(open_findings, key=lambda f: _STOPPING.index(f.severity))
    accept = worst.accept
    accepted = " ".join(f"--accept {shlex.quote(str(name))}" for name in (*plan.accepted, accept))
    elsewhere = "backout releases" if plan.data is None else "backout backup list"
    command = worst.command or (f"backout plan {words_of(plan)} {accepted}" if accept else elsewhere)
    what = msg("{evidence} {remedy}", evidence=str(worst.evidence), remedy=str(worst.remedy or ""))
    state = msg("Nothing was changed; {version} still runs.", version=plan.from_version or "what ran")
    error = NeedsAcceptance if worst.severity is Severity.NEEDS_APPROVAL else Refused
    return error(what, state=state, next_command=command)
