"""Rows of `backout.report` laid out on a screen; no words of its own beyond labels."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from backout.checks.base import CheckResult, Outcome
from backout.cli.common import out, style
from backout.execute.run import Run
from backout.plan.base import StepKind
from backout.plan.model import Plan, Severity
from backout.report.history import history_rows
from backout.report.next import next_steps
from backout.report.plan import downtime_text, loss_text, no_return_text, plan_lines
from backout.report.releases import Listed, release_lines
from backout.report.timeline import timeline_rows
from backout.report.words import SCENARIOS, SEVERITIES, VERDICTS, ending, expected, title

_TOLD = (
    "run.created",
    "run.resumed",
    "run.stopped",
    "run.finished",
    "run.aborted",
    "run.verified",
    "step.confirmed",
    "step.failed",
)
"""Events for a screen; the report has them all."""
_TONES = {"good": "green", "warn": "yellow", "bad": "red", "calm": "cyan"}
_OUTCOMES = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.INCONCLUSIVE: "yellow"}


def show_plan(plan: Plan, kinds: Mapping[str, StepKind]) -> None:
    """Print a plan: why, findings, steps, cost, what cannot be undone."""
    out(style(str(title(plan)), "cyan"))
    out(f"  {SCENARIOS[plan.scenario]}. {plan.why}")
    out(f"  {VERDICTS[plan.verdict]}")
    for finding in plan.findings:
        accepted = " (accepted)" if finding.accept in plan.accepted else ""
        out(f"  {SEVERITIES[finding.severity]}{accepted}: {finding.evidence}")
        if finding.remedy is not None and finding.severity is not Severity.INFO:
            out(f"    → {finding.remedy}")
    out()
    for line in plan_lines(plan, kinds):
        mark = "  ← no way back from here" if line.no_way_back else ""
        out(f"  {line.number:>2}  {line.sentence}  [{line.seconds}]{mark}")
    out()
    out(f"  takes             {expected(plan.total)}")
    out(f"  downtime          {downtime_text(plan.downtime)}")
    out(f"  would be lost     {loss_text(plan)}")
    out(f"  no way back from  {no_return_text(plan)}")
    out(f"  plan {plan.id}, {plan.digest[:19]}…, valid until {plan.expires_at:%H:%M UTC}")


def show_results(results: Iterable[CheckResult]) -> None:
    """Print one line a check."""
    for result in results:
        more = f" {result.more}" if result.more else ""
        out(
            f"  {style(f'{result.outcome.value:<12}', _OUTCOMES[result.outcome])} {result.name}: {result.evidence}{more}"
        )


def show_ending(run: Run) -> None:
    """Print how a run stands, its proof, and what to type next."""
    end = ending(run)
    out(f"{style(str(end.title), _TONES[end.tone])}: {title(run.plan)}")
    out(f"  {end.meaning}")
    if run.trouble is not None:
        out(f"  {run.trouble.what} {run.trouble.state}")
    if run.verification is not None:
        show_results(run.verification.results)
    for sentence, command in next_steps(run):
        out(f"  {sentence}" if command is None else f"  {sentence}  {style(command, 'green')}")


def show_timeline(run: Run, kinds: Mapping[str, StepKind], skip: int = 0) -> int:
    """Print the telling events of a run after the first `skip`, and return how many there are."""
    rows = [row for row in timeline_rows(run, kinds) if row.kind in _TOLD]
    for row in rows[skip:]:
        detail = f"  {row.detail}" if row.detail else ""
        out(f"  {row.clock}  {row.since:>8}  {row.sentence}{detail}")
    return len(rows)


def show_releases(listed: Iterable[Listed], now: datetime) -> None:
    """Print releases as a deployments page shows them."""
    rows = [("VERSION", "AGE", "STATE", "", "COMMIT", "SUBJECT", "WHO")]
    rows += [
        (r.version, str(r.age), r.state.value, " ".join(map(str, r.marks)), r.commit, r.subject, r.by)
        for r in release_lines(listed, now)
    ]
    _columns(rows)


def show_history(runs: Iterable[Run], now: datetime) -> None:
    """Print runs, newest first."""
    rows = [("RUN", "WHEN", "WHAT", "FROM → TO", "HOW IT ENDED", "SECONDS", "WHO")]
    for row in history_rows(runs, now):
        versions = f"{row.from_version or '?'} → {row.to_version or '?'}"
        seconds = f"{row.seconds:.1f}" if row.seconds is not None else ""
        rows.append((row.run, str(row.age), str(row.purpose), versions, str(row.ended), seconds, row.actor))
    _columns(rows)


def _columns(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    columns = shutil.get_terminal_size((200, 50)).columns
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        out(line[:columns] if columns > 60 else line)
