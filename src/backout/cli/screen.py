"""Rows of `backout.report` laid out on a screen; no words of its own beyond labels."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from backout.cli.common import out, style, typed
from backout.report.markup import clean, plain

if TYPE_CHECKING:
    from backout.checks.base import CheckResult
    from backout.execute.run import Run
    from backout.plan.base import StepKind
    from backout.plan.model import Plan
    from backout.report.releases import Listed

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
_OUTCOMES = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


def show_plan(plan: Plan, kinds: Mapping[str, StepKind]) -> None:
    """Print a plan: why, findings, steps, cost, what cannot be undone."""
    from backout.plan.model import Severity
    from backout.report.plan import downtime_text, loss_text, no_return_text, plan_lines
    from backout.report.words import SCENARIOS, SEVERITIES, VERDICTS, expected, title

    out(style(str(title(plan)), "cyan"))
    if plan.where is not None:
        out(f"  On {plain(plan.where)}.")
    out(f"  {SCENARIOS[plan.scenario]}. {plain(plan.why)}")
    out(f"  {VERDICTS[plan.verdict]}")
    for finding in plan.findings:
        accepted = " (accepted)" if finding.accept in plan.accepted else ""
        out(f"  {SEVERITIES[finding.severity]}{accepted}: {plain(finding.evidence)}")
        if finding.remedy is not None and finding.severity is not Severity.INFO:
            out(f"    → {plain(finding.remedy)}")
    out()
    for line in plan_lines(plan, kinds):
        mark = "  ← no way back from here" if line.no_way_back else ""
        out(f"  {line.number:>2}  {plain(line.sentence)}  [{line.seconds}]{mark}")
    out()
    out(f"  takes             {expected(plan.total)}")
    out(f"  downtime          {downtime_text(plan.downtime)}")
    out(f"  would be lost     {loss_text(plan)}")
    _show_between(plan)
    _show_rows(plan)
    out(f"  no way back from  {no_return_text(plan)}")
    _show_hazards(plan)
    out(f"  plan {plan.id}, {plan.digest[:19]}…, valid until {plan.expires_at:%H:%M UTC}")


def _show_between(plan: Plan) -> None:
    from backout.report.between import between_lines

    first, *rest = between_lines(plan.between) or ("",)
    if first:
        out(f"  lies between      {clean(first)}")
    for line in rest:
        out(f"    {clean(line)}")


def _show_rows(plan: Plan) -> None:
    from backout.report.counts import FEW, count_lines

    if plan.data is None:
        return
    lines, more = count_lines(plan.data.counts, FEW)
    rows = [(clean(line.table), plain(line.now), plain(line.then)) for line in lines]
    if not rows:
        return
    first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
    out(f"  {'rows by table':<{max(16, first)}}  {'now':<{second}}  in the backup")
    for table, now, then in rows:
        out(f"    {table:<{max(14, first - 2)}}  {now:<{second}}  {then}")
    if more is not None:
        out(f"    {plain(more)}")


def _show_hazards(plan: Plan) -> None:
    told = dict.fromkeys((plain(h.what), plain(h.then)) for hazards in plan.hazards.values() for h in hazards)
    if told:
        out("  what could go wrong, and what then")
    for what, then in told:
        out(f"    {what} → {then}")


def show_results(results: Iterable[CheckResult]) -> None:
    """Print one line a check."""
    for result in results:
        more = f". {plain(result.more)}" if result.more else ""
        out(
            f"  {style(f'{result.outcome.value:<12}', _OUTCOMES[result.outcome.value])} {result.name}: {plain(result.evidence)}{more}"
        )


def show_ending(run: Run, kinds: Mapping[str, StepKind] | None = None) -> None:
    """Print how a run stands, its proof, and what to type next; with `kinds`, also what serves while it is open."""
    from backout.execute.standing import standing
    from backout.report.duration import moment
    from backout.report.next import next_steps
    from backout.report.words import ending, title

    end = ending(run)
    out(f"{style(str(end.title), _TONES[end.tone])}: {title(run.plan)}")
    ended = f", ended {moment(run.finished_at)}" if run.finished_at else ""
    out(f"  {run.id} by {run.actor}{ended}")
    out(f"  {plain(end.meaning)}")
    if run.trouble is not None:
        out(f"  {plain(run.trouble.what)} {plain(run.trouble.state)}")
    stands = plain(standing(run, kinds)) if run.open and kinds is not None else ""
    if stands and (run.trouble is None or stands not in plain(run.trouble.state)):
        out(f"  {stands}")
    if run.verification is not None:
        show_results(run.verification.results)
    for sentence, command in next_steps(run):
        out(f"  {sentence}" if command is None else f"  {sentence}  {style(typed(command), 'green')}")


def show_timeline(run: Run, kinds: Mapping[str, StepKind], skip: int = 0) -> int:
    """Print the telling events of a run after the first `skip`, and return how many there are."""
    from backout.report.timeline import timeline_rows

    rows = [row for row in timeline_rows(run, kinds) if row.kind in _TOLD]
    for row in rows[skip:]:
        detail = f"  {plain(row.detail)}" if row.detail else ""
        out(f"  {row.clock}  {row.since:>8}  {plain(row.sentence)}{detail}")
    return len(rows)


def show_releases(listed: Iterable[Listed], now: datetime) -> None:
    """Print releases as a deployments page shows them."""
    from backout.report.releases import release_lines

    rows = [("VERSION", "AGE", "STATE", "", "COMMIT", "SUBJECT", "WHO")]
    rows += [
        (r.version, str(r.age), r.state.value, " ".join(map(str, r.marks)), r.commit, r.subject, r.by)
        for r in release_lines(listed, now)
    ]
    columns(rows)


def show_history(runs: Iterable[Run], now: datetime) -> None:
    """Print runs, newest first."""
    from backout.report.history import history_rows

    rows = [("RUN", "WHEN", "WHAT", "FROM → TO", "HOW IT ENDED", "SECONDS", "WHO")]
    for row in history_rows(runs, now):
        versions = f"{row.from_version or '?'} → {row.to_version or '?'}"
        seconds = f"{row.seconds:.1f}" if row.seconds is not None else ""
        rows.append((row.run, str(row.age), str(row.purpose), versions, str(row.ended), seconds, row.actor))
    columns(rows)


def columns(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows in columns, cut to the terminal's width."""
    rows = [tuple(clean(cell) for cell in row) for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    room = shutil.get_terminal_size((200, 50)).columns
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        out(line[:room] if room > 60 else line)
