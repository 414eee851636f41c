"""Plans that stop the harm and let go again, and the hold steps of every plan. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from backout.assess.versions import current_version
from backout.document import Json
from backout.facts import Facts
from backout.message import Message, msg
from backout.observed import (
    CLOSED,
    DIVERT,
    REFUSE_CONNECTIONS,
    REFUSE_WRITES,
    STOP,
    SUSPEND,
    Answer,
    HoldFact,
)
from backout.plan.assembly import Terms, estimate, numbered, total
from backout.plan.base import StepKind
from backout.plan.model import Finding, Phase, Plan, Severity, StepSpec
from backout.plan.start import serving_now

SUSPENDS = SUSPEND
IN_FORCE = "hold.in-force"


def plan_hold(facts: Facts, kinds: Mapping[str, StepKind], terms: Terms) -> Plan:
    """Return the plan that stops the harm by every means configured; a hold that was cut short is finished."""
    # What does not answer comes last, so that what does is stopped first; it is never passed over in silence.
    wanted = [*_not_yet_held(facts), *_unanswered(facts, strongest=True)]
    specs = [(Phase.HOLD, spec) for spec in wanted]
    if terms.has_database:
        specs.append((Phase.VERIFY, _no_writes()))
    why = msg("The service is stopped at once, before any plan is made.")
    plan = _simple(facts, specs, kinds, terms, "hold", why)
    return plan.model_copy(update={"findings": tuple(_in_force(facts))})


def plan_release_hold(facts: Facts, kinds: Mapping[str, StepKind], terms: Terms) -> Plan:
    """Return the plan that puts back exactly what was before the hold."""
    wanted = [*reversed(held_specs(facts)), *_unanswered(facts, strongest=False)]
    specs = [(Phase.RELEASE_HOLD, release_of_hold(spec)) for spec in wanted]
    return _simple(
        facts, specs, kinds, terms, "release_hold", msg("What is held is let go, exactly as it was before.")
    )


def hold_specs(facts: Facts, *, strongest: bool) -> list[StepSpec]:
    """Without `strongest`, only what lets requests wait; with it, every means by its strongest mode."""
    specs = []
    for fact in facts.holds:
        if fact.held is not Answer.NO:
            continue
        mode = _mode(fact, strongest)
        if mode is not None:
            specs.append(_hold(fact, mode))
    return specs


def suspend_specs(facts: Facts) -> list[StepSpec]:
    """Return the steps that suspend what acts on the data without requests: workers and crons.

    A means that lets requests wait does that instead: it holds in one mode at a time.
    """
    return [
        _hold(f, SUSPENDS)
        for f in facts.holds
        if f.held is Answer.NO and SUSPENDS in f.modes and _mode(f, strongest=False) is None
    ]


def held_specs(facts: Facts) -> list[StepSpec]:
    """Return the hold steps that would bring about what is held already."""
    return [_hold(f, f.mode or f.modes[0]) for f in facts.holds if f.held is Answer.YES]


def _not_yet_held(facts: Facts) -> list[StepSpec]:
    """Return the hold steps of what answers and does not hold by its strongest mode, or holds half."""
    modes = [(f, _mode(f, strongest=True)) for f in facts.holds if f.held is not Answer.UNKNOWN]
    return [
        _hold(f, mode)
        for f, mode in modes
        if mode is not None and f.mode not in (mode, REFUSE_CONNECTIONS, CLOSED)
    ]


def _in_force(facts: Facts) -> list[Finding]:
    return [
        Finding(
            rule=IN_FORCE,
            severity=Severity.INFO,
            evidence=msg("{name} holds already ({mode}).", name=f.name, mode=f.mode),
        )
        for f in facts.holds
        if f.held is Answer.YES and f.mode is not None
    ]


def _unanswered(facts: Facts, *, strongest: bool) -> list[StepSpec]:
    """Return hold steps for means that do not answer: whether they hold is unknown, and unknown is not no."""
    silent = [f for f in facts.holds if f.held is Answer.UNKNOWN and f.modes]
    return [_hold(f, _mode(f, strongest) or f.modes[0]) for f in silent]


def release_of_hold(hold: StepSpec) -> StepSpec:
    """Return the step that lets go what `hold` holds."""
    return hold.model_copy(update={"kind": "hold.release"})


def _mode(fact: HoldFact, strongest: bool) -> str | None:
    wanted = ("maintenance", STOP, DIVERT, REFUSE_WRITES, SUSPENDS) if strongest else ("queue",)
    return next((m for m in wanted if m in fact.modes), None)


def _hold(fact: HoldFact, mode: str) -> StepSpec:
    ends: dict[str, Json] = {} if fact.ends_after_s is None else {"ends_after_s": fact.ends_after_s}
    return StepSpec(
        kind="hold",
        target=f"hold:{fact.name}",
        params={"name": fact.name, "mode": mode, "prior": fact.prior, **ends},
        timeout_s=fact.within_s,
    )


def _no_writes() -> StepSpec:
    return StepSpec(kind="hold.proof", target="database", params={"window_s": 1.5}, timeout_s=15.0)


def _simple(
    facts: Facts,
    specs: Sequence[tuple[Phase, StepSpec]],
    kinds: Mapping[str, StepKind],
    terms: Terms,
    purpose: str,
    why: Message,
) -> Plan:
    steps = numbered(specs, kinds)
    estimates = {s.key: estimate(facts, s.spec.kind) for s in steps}
    version = current_version(facts)
    return Plan.model_validate(
        {
            "id": terms.plan_id,
            "purpose": purpose,
            "service": facts.service,
            "environment": facts.environment,
            "scenario": "code",
            "from_version": version,
            "to_version": version,
            "created_at": terms.now,
            "expires_at": terms.now + timedelta(seconds=terms.expires_s),
            "why": why,
            "verdict": "reversible",
            "steps": steps,
            "estimates": estimates,
            "total": total(estimates.values()),
            "serving": serving_now(facts),
        }
    )
