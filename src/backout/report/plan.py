"""The plan as a runbook that a person can follow with no backout at hand, and as rows for a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from backout.message import Message, msg
from backout.plan.base import World
from backout.plan.model import (
    Downtime,
    Estimate,
    Finding,
    Hazard,
    Phase,
    Plan,
    PlannedStep,
    Severity,
    StepSpec,
)
from backout.report.between import between_section
from backout.report.data import data_plan_section
from backout.report.done_when import done_when, first_world, world_after
from backout.report.duration import moment
from backout.report.markup import block, clean, code, escape, facts, plain, say, shown, table
from backout.report.words import (
    NO_KINDS,
    SCENARIOS,
    SEVERITIES,
    VERDICTS,
    Kinds,
    expected,
    step_sentence,
    title,
    version,
)

ByHand = Mapping[str, tuple[str, ...]]
_TOOL = "backout "
_STOPS = (Severity.BLOCKS, Severity.LOSES_DATA, Severity.NEEDS_APPROVAL)


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One step for a terminal.

    Attributes:
        seconds: Expected time as text, or ``not measured``.
        no_way_back: Whether it is the first step that cannot be undone.
    """

    number: int
    key: str
    phase: Phase
    sentence: Message
    seconds: str
    no_way_back: bool


def plan_lines(plan: Plan, kinds: Kinds = NO_KINDS) -> tuple[PlanLine, ...]:
    """Return one row for each step, in order."""
    return tuple(
        PlanLine(
            number=number,
            key=step.key,
            phase=step.phase,
            sentence=step_sentence(step.spec, kinds),
            seconds=plain(expected(plan.estimates.get(step.key))),
            no_way_back=step.key == plan.point_of_no_return,
        )
        for number, step in enumerate(plan.steps, start=1)
    )


def plan_markdown(plan: Plan, kinds: Kinds, by_hand: ByHand) -> str:
    """Return the runbook of a plan.

    Args:
        plan: The plan.
        kinds: Step kinds by name; a step of an unknown kind is shown by its name, target and values.
        by_hand: Real commands by step key, and by ``KEY/undo`` those of its inverse; where there are none
            the kind's own are shown.
    """
    lines = [f"# {shown(title(plan))}", "", say("How to do it by hand, with no backout at hand."), ""]
    lines += _glance(plan)
    lines += finding_section(plan.findings, plan.accepted)
    lines += between_section(plan.between)
    lines += data_plan_section(plan.data)
    lines += _overview(plan, kinds)
    world = first_world(plan)
    for number, step in enumerate(plan.steps, start=1):
        after = world_after(step.spec, kinds, world)
        lines += _step(number, step, plan, kinds, by_hand, (world, after))
        world = after
    lines += _checklist(plan)
    return "\n".join(lines).rstrip() + "\n"


def finding_section(findings: tuple[Finding, ...], accepted: tuple[str, ...]) -> list[str]:
    """Return the Markdown lines about what an assessment found, and what of it was accepted by name."""
    lines = [f"## {say('Findings')}", ""]
    if not findings:
        lines += [say("Nothing was found that speaks against it."), ""]
    else:
        head = [say("Kind"), say("What was seen"), say("What to do"), say("Accepted")]
        rows = [
            [
                shown(SEVERITIES[f.severity]),
                f"{shown(f.evidence)} ({code(f.rule)})",
                shown(f.remedy),
                shown(_accepted(f, accepted)),
            ]
            for f in findings
        ]
        lines += table(head, rows)
    named = ", ".join(code(name) for name in accepted) or say("nothing")
    return [*lines, *facts([(say("Accepted by name"), named)])]


def loss_text(plan: Plan) -> str:
    """Return what would be lost, as plain text."""
    return " ".join(clean(plain(loss)) for loss in plan.losses) or plain(msg("nothing"))


def downtime_text(downtime: Downtime | None) -> str:
    """Return how long requests wait or fail, and what that rests on, as plain text; empty for None."""
    if downtime is None:
        return ""
    parts = []
    if not _none(downtime.held):
        parts.append(msg("requests are held: {time}.", time=plain(expected(downtime.held))))
    if not _none(downtime.down):
        parts.append(msg("requests fail: {time}.", time=plain(expected(downtime.down))))
    return " ".join(clean(plain(m)) for m in (*(parts or [msg("none.")]), downtime.basis))


def no_return_text(plan: Plan) -> str:
    """Return the point of no return, as plain text."""
    if plan.point_of_no_return is None:
        return plain(msg("none: every step can be undone"))
    why = next((s.no_inverse_because for s in plan.steps if s.key == plan.point_of_no_return), None)
    reason = "" if why is None else plain(why)
    return clean(plain(msg("step {key}. {why}", key=plan.point_of_no_return, why=reason)))


def _glance(plan: Plan) -> list[str]:
    pairs = [
        (say("Service"), escape(plan.service)),
        (say("Environment"), escape(plan.environment)),
        (say("Where"), shown(plan.where) if plan.where is not None else ""),
        (say("Release"), f"{code(version(plan.from_version))} → {code(version(plan.to_version))}"),
        (say("Runs now"), code(plan.from_artefact.ref) if plan.from_artefact else ""),
        (say("Will run"), code(plan.to_artefact.ref) if plan.to_artefact else ""),
        (say("Scenario"), f"{shown(SCENARIOS[plan.scenario])}. {shown(plan.why)}"),
        (say("Verdict"), shown(VERDICTS[plan.verdict])),
        (say("Expected time"), shown(expected(plan.total))),
        (say("Downtime"), escape(downtime_text(plan.downtime))),
        (say("What would be lost"), escape(loss_text(plan))),
        (say("Point of no return"), escape(no_return_text(plan))),
        (
            say("Plan"),
            say(
                "{plan}, made {made}, valid until {end}",
                plan=plan.id,
                made=moment(plan.created_at),
                end=moment(plan.expires_at),
            ),
        ),
        (say("Digest"), code(plan.digest)),
    ]
    return [f"## {say('At a glance')}", "", *facts(pairs)]


def _overview(plan: Plan, kinds: Kinds) -> list[str]:
    rows = [
        [str(line.number), escape(line.phase.value), shown(line.sentence), escape(line.seconds)]
        for line in plan_lines(plan, kinds)
    ]
    return [
        f"## {say('Steps')}",
        "",
        *table([say("No."), say("Phase"), say("What it does"), say("Expected")], rows),
        say("Do them in this order, and begin none before the one above it is seen to be done."),
        "",
    ]


def _step(
    number: int, step: PlannedStep, plan: Plan, kinds: Kinds, by_hand: ByHand, worlds: tuple[World, World]
) -> list[str]:
    sentence = plain(step_sentence(step.spec, kinds)).removesuffix(".")
    lines = [f"### {say('Step {number}: {sentence}', number=number, sentence=sentence)}", ""]
    if step.key == plan.point_of_no_return:
        lines += [f"**{say('Point of no return: from here on there is no way back.')}**", ""]
    pairs = [
        (say("Phase"), escape(step.phase.value)),
        (say("Expected time"), shown(expected(plan.estimates.get(step.key)))),
        (say("Give up after"), say("{seconds} s", seconds=f"{step.spec.timeout_s:g}")),
        (say("Acts on"), code(step.spec.target)),
        (say("Values"), ", ".join(code(v) for v in _values(step.spec))),
        (say("Locks"), ", ".join(escape(name) for name in step.spec.locks)),
    ]
    lines += facts(pairs)
    lines += _commands(_by_hand(step.key, step.spec, kinds, by_hand), say("Type:"))
    lines += [say("It is done when:"), "", *(f"- {shown(m)}" for m in done_when(step.spec, *worlds)), ""]
    lines += _hazards(_hazards_of(step, plan, kinds))
    return lines + _undo(step, kinds, by_hand)


def _undo(step: PlannedStep, kinds: Kinds, by_hand: ByHand) -> list[str]:
    if step.inverse is None:
        why = shown(step.no_inverse_because) or say("There is no way back from this step.")
        return facts([(say("No undo"), why)])
    what = plain(step_sentence(step.inverse, kinds))
    commands = _by_hand(f"{step.key}/undo", step.inverse, kinds, by_hand)
    return _commands(commands, say("To undo it: {what}", what=what))


def _commands(commands: tuple[str, ...], before: str) -> list[str]:
    if not commands:
        unknown = say("No command is known for this: do it by the target's own means, with the values above.")
        return [before, "", unknown, ""]
    if all(c.startswith(_TOOL) for c in commands):
        without = say("Without backout, bring about by the target's own means what is said here.")
        return [before, "", *block(commands), without, ""]
    return [before, "", *block(commands)]


def _by_hand(key: str, spec: StepSpec, kinds: Kinds, by_hand: ByHand) -> tuple[str, ...]:
    kind = kinds.get(spec.kind)
    return by_hand.get(key) or (kind.by_hand(spec) if kind else ())


def _hazards_of(step: PlannedStep, plan: Plan, kinds: Kinds) -> tuple[Hazard, ...]:
    kind = kinds.get(step.spec.kind)
    return plan.hazards.get(step.key) or (kind.hazards(step.spec) if kind else ())


def _hazards(hazards: tuple[Hazard, ...]) -> list[str]:
    if not hazards:
        return []
    rows = [[shown(h.what), shown(h.then)] for h in hazards]
    return table([say("What could go wrong"), say("What then")], rows)


def _values(spec: StepSpec) -> list[str]:
    """Only the plain ones: what is nested belongs to the adapter, and its commands show it."""
    return [
        clean(f"{k}={json.dumps(v, ensure_ascii=False)}")
        for k, v in spec.params.items()
        if isinstance(v, str | int | float)
    ]


def _none(estimate: Estimate) -> bool:
    return estimate.seconds == 0 and estimate.runs == 0


def _accepted(finding: Finding, accepted: tuple[str, ...]) -> Message | None:
    if finding.accept is not None and finding.accept in accepted:
        return msg("yes, by name")
    if finding.severity not in _STOPS:
        return None
    if finding.accept is None:
        return msg("cannot be accepted: this plan is refused")
    return msg("no: this plan is refused without --accept {name}", name=finding.accept)


_SUCCESS = (
    msg(
        "Processes: all that should be up are up, they are of {version}, and none of another version is left."
    ),
    msg("Health: the health endpoint answers 200 and says that it is well."),
    msg("Database: the service says that it is connected, and a read of its own tables works."),
    msg("Smoke: one real request of each important kind works from end to end."),
    msg("Error rate: as it was before the bad release (with no error in n requests it is below 3/n)."),
    msg("Response time: the 95th percentile is as it was before the bad release."),
)


def _checklist(plan: Plan) -> list[str]:
    if plan.purpose not in ("back", "abort"):
        return []
    lines = [f"## {say('It is a success when all of this holds')}", ""]
    lines += [f"- [ ] {say(m.template, version=version(plan.to_version))}" for m in _SUCCESS]
    end = say(
        "If one of these does not hold, the release is back but not proven to work: keep the incident open."
    )
    return [*lines, "", end, ""]
