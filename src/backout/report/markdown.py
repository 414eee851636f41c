"""The report of one run, for the incident's record and for who reads it at three in the morning."""

from __future__ import annotations

from datetime import datetime

from backout.checks.base import CheckResult
from backout.execute.held import Held, held_now
from backout.execute.run import Run, RunState, StepProgress, StepState, Trouble
from backout.message import Message, msg
from backout.observed import KEEPS_REQUESTS_AWAY
from backout.report.data import data_section
from backout.report.duration import age, duration, moment
from backout.report.evidence import evidence_section
from backout.report.holding import held_time, quarantined_now
from backout.report.markup import block, code, escape, facts, say, shown, table
from backout.report.next import next_steps
from backout.report.plan import downtime_text, finding_section, loss_text, no_return_text
from backout.report.timeline import timeline_rows
from backout.report.words import (
    NO_KINDS,
    SCENARIOS,
    Kinds,
    ending,
    expected,
    figure,
    step_sentence,
    title,
    version,
)


def report_markdown(run: Run, now: datetime, kinds: Kinds = NO_KINDS) -> str:
    """Return the report of a run in any state.

    Args:
        run: The run, as its events tell it.
        now: When the report is written.
        kinds: Step kinds by name; without them steps are told by kind, target and version.
    """
    end = ending(run)
    lines = [f"# {shown(title(run.plan))}", "", f"**{shown(end.title)}.** {shown(end.meaning)}", ""]
    lines += _harm(run)
    lines += _trouble(run.trouble)
    lines += _next(run)
    lines += _standing(run)
    lines += _summary(run, now)
    lines += _verification(run)
    lines += data_section(run)
    lines += evidence_section(run)
    lines += _steps(run, kinds)
    lines += _timeline(run, kinds)
    lines += finding_section(run.plan.findings, run.plan.accepted)
    lines += [f"## {say('Losses and downtime')}", "", *facts(_planned(run))]
    lines += [say("Written {now} from the journal of run {run}.", now=moment(now), run=run.id)]
    return "\n".join(lines).rstrip() + "\n"


def _harm(run: Run) -> list[str]:
    """What keeps users out right now stands before everything else."""
    if run.state is RunState.ABORTED:
        return []
    return [line for h in held_now(run) for line in (f"**{shown(_held(h))}**", "")]


def _trouble(trouble: Trouble | None) -> list[str]:
    if trouble is None:
        return []
    pairs = [
        (say("What failed"), shown(trouble.what)),
        (say("State"), shown(trouble.state)),
        (say("Kind"), code(trouble.code)),
    ]
    return facts(pairs)


def _next(run: Run) -> list[str]:
    lines = [f"## {say('What to do next')}", ""]
    for what, command in next_steps(run):
        lines += [shown(what), ""]
        lines += block([command]) if command else []
    return lines


def _standing(run: Run) -> list[str]:
    lines = [f"## {say('Held and quarantined')}", ""]
    if run.state is RunState.ABORTED:
        return [
            *lines,
            say("Run {other} undid this run; its report says what is held.", other=run.aborted_by),
            "",
        ]
    held = [f"- {shown(_held(h))}" for h in held_now(run)] or [f"- {say('Nothing is held by this run.')}"]
    away = [
        f"- {say('{version} is quarantined: it comes back only when it is named on purpose.', version=v)}"
        for v in quarantined_now(run)
    ]
    return [*lines, *held, *(away or [f"- {say('This run quarantined nothing.')}"]), ""]


def _held(held: Held) -> Message:
    if not held.certain:
        return msg(
            "{name} may hold ({mode}): the step about it has no end in the journal.",
            name=held.name,
            mode=held.mode,
        )
    if held.mode not in KEEPS_REQUESTS_AWAY:
        return msg("{name} holds ({mode}).", name=held.name, mode=held.mode)
    if held.before:
        return msg(
            "{name} holds ({mode}) since before this run: requests do not reach the service.",
            name=held.name,
            mode=held.mode,
        )
    return msg("{name} holds ({mode}): requests do not reach the service.", name=held.name, mode=held.mode)


def _summary(run: Run, now: datetime) -> list[str]:
    plan, end = run.plan, ending(run)
    others = sorted({e.actor for e in run.timeline} - {run.actor})
    pairs = [
        (
            say("Service"),
            say("{service} in {environment}", service=plan.service, environment=plan.environment),
        ),
        (say("Release"), f"{code(version(plan.from_version))} → {code(version(plan.to_version))}"),
        (say("By"), escape(run.actor)),
        (say("Also acted"), ", ".join(escape(o) for o in others)),
        (say("Reason"), escape(run.reason) if run.reason else say("none was given")),
        (say("Why this scenario"), f"{shown(SCENARIOS[plan.scenario])}. {shown(plan.why)}"),
        (
            say("Emergency"),
            say("yes: it ran without configuration, records and database; the schema risk was accepted")
            if run.emergency
            else "",
        ),
        (say("Undoes run"), code(run.aborts) if run.aborts else ""),
        (say("Began"), say("{at} ({age})", at=moment(run.created_at), age=str(age(run.created_at, now)))),
        (say("Ended"), moment(run.finished_at) if run.finished_at else say("not yet")),
        (say("Total"), _total(run, now)),
        (say("Requests held"), _held_seconds(run, now)),
        (
            say("Steps"),
            say(
                "{done} of {total} done",
                done=sum(s.state is StepState.CONFIRMED for s in run.steps),
                total=len(run.steps),
            ),
        ),
        (say("Resumed"), _resumed(run.resumed)),
        (
            say("Exit code"),
            f"{code(str(int(end.exit_code)))} ({shown(end.title)})" if end.exit_code is not None else "",
        ),
        (say("Run"), code(run.id)),
        (say("Plan"), f"{code(plan.id)}, {code(plan.digest)}"),
    ]
    return [f"## {say('Summary')}", "", *facts(pairs)]


def _resumed(times: int) -> str:
    if times == 1:
        return say("once")
    return say("{times} times", times=times) if times else ""


def _total(run: Run, now: datetime) -> str:
    if run.finished_at is not None:
        return say("{time}", time=duration((run.finished_at - run.created_at).total_seconds()))
    return say("{time} until now, not ended", time=duration((now - run.created_at).total_seconds()))


def _held_seconds(run: Run, now: datetime) -> str:
    held = held_time(run, now)
    if held is None:
        return say("no")
    if run.state is RunState.ABORTED:
        return say("yes; run {other} let go", other=run.aborted_by)
    if held.seconds is None:
        return (
            say("since before this run, and still")
            if held.still
            else say("since before this run, until it let go")
        )
    return say("{time}, and still" if held.still else "{time} at most", time=duration(held.seconds))


def _verification(run: Run) -> list[str]:
    lines = [f"## {say('Proof')}", ""]
    proof = run.verification
    if proof is None:
        return [*lines, say("No verification is in the journal: nothing is proven."), ""]
    lines += [
        say(
            "The checks say {outcome}. They looked from {start} to {end}.",
            outcome=proof.outcome.value,
            start=moment(proof.started_at),
            end=moment(proof.finished_at),
        ),
        "",
    ]
    head = [
        "Check",
        "Proves",
        "Outcome",
        "Measured",
        "Limit",
        "Unit",
        "Looked at",
        "Evidence",
        "Still needed",
    ]
    return [*lines, *table([say(h) for h in head], [_check(r) for r in proof.results])]


def _check(result: CheckResult) -> list[str]:
    return [
        escape(result.name),
        escape(result.proves.replace("_", " ")),
        escape(result.outcome.value),
        escape(figure(result.measured)),
        escape(figure(result.threshold)),
        escape(result.unit or ""),
        escape(result.window or ""),
        shown(result.evidence),
        shown(result.more),
    ]


def _steps(run: Run, kinds: Kinds) -> list[str]:
    head = ["No.", "Step", "State", "Expected", "Measured", "Attempts", "Evidence"]
    rows = [_progress(number, run, progress, kinds) for number, progress in enumerate(run.steps, start=1)]
    return [f"## {say('Steps')}", "", *table([say(h) for h in head], rows)]


def _progress(number: int, run: Run, progress: StepProgress, kinds: Kinds) -> list[str]:
    evidence = (
        progress.evidence
        or (progress.trouble.what if progress.trouble else None)
        or (progress.receipt.what if progress.receipt else None)
    )
    return [
        str(number),
        f"{shown(step_sentence(run.plan.step(progress.key).spec, kinds))} {code(progress.key)}",
        shown(_state(progress)),
        shown(expected(run.plan.estimates.get(progress.key))),
        escape(duration(progress.seconds)) if progress.seconds is not None else "",
        str(progress.attempts),
        shown(evidence),
    ]


_STATES = {
    StepState.PENDING: msg("not begun"),
    StepState.BEGUN: msg("begun, no end"),
    StepState.APPLIED: msg("acted, not seen done"),
    StepState.CONFIRMED: msg("done"),
    StepState.FAILED: msg("failed"),
}


def _state(progress: StepProgress) -> Message:
    return msg("done before") if progress.already else _STATES[progress.state]


def _timeline(run: Run, kinds: Kinds) -> list[str]:
    rows = timeline_rows(run, kinds)
    days = {row.at.date() for row in rows}
    head = ["Time (UTC)", "Since start", "Who", "What", "Detail"]
    cells = [
        [
            moment(row.at) if len(days) > 1 else row.clock,
            row.since,
            escape(row.actor),
            shown(row.sentence),
            shown(row.detail),
        ]
        for row in rows
    ]
    return [f"## {say('Timeline')}", "", *table([say(h) for h in head], cells)]


def _planned(run: Run) -> list[tuple[str, str]]:
    return [
        (say("What the plan said would be lost"), escape(loss_text(run.plan))),
        (say("Downtime that the plan expected"), escape(downtime_text(run.plan.downtime))),
        (say("Point of no return"), escape(no_return_text(run.plan))),
    ]
