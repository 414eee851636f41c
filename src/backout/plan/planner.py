"""Makes a plan of an assessment: steps in the order of phases, what they cost, and why it may be refused. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from backout.assess.model import Assessment, Request
from backout.assess.versions import current_version, order_key, release_of
from backout.errors import BackoutError, NeedsAcceptance, NotPossible, Refused
from backout.facts import Answer, Facts, HoldFact
from backout.message import Message, msg
from backout.plan.base import StepKind, World
from backout.plan.model import (
    Downtime,
    Estimate,
    Finding,
    Phase,
    Plan,
    PlannedStep,
    Scenario,
    Severity,
    StepSpec,
)
from backout.plan.simulate import Visited, down_steps, held_steps, simulate, violations
from backout.release import Artefact

REFUSES_WRITES = "refuse_writes"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan is made under.

    Attributes:
        hold_modes: By means: the mode that stops the harm (`hold`), strongest first known to the adapter.
        verify_timeout_s: Seconds that all checks together may take.
        has_database: Whether writes can be counted.
    """

    plan_id: str
    now: datetime
    expires_s: float
    verify_timeout_s: float
    has_database: bool


def plan_back(
    assessment: Assessment,
    facts: Facts,
    request: Request,
    switch: Sequence[StepSpec],
    kinds: Mapping[str, StepKind],
    terms: Terms,
) -> Plan:
    """Return the plan that takes the code back; `refusal` says whether it may run.

    Raises:
        NeedsAcceptance: The decision table names a scenario that restores or loses rows.
        NotPossible: A scenario was asked for that nothing configured can do.
    """
    _only_code(assessment)
    steps = _steps(assessment, facts, request, switch, kinds, terms)
    start = world_now(facts)
    visited = tuple(simulate(steps, kinds, start))
    estimates = {s.key: _estimate(facts, s.spec.kind) for s in steps}
    return Plan(
        id=terms.plan_id,
        purpose="back",
        service=facts.service,
        environment=facts.environment,
        scenario=assessment.scenario,
        from_version=assessment.current_version,
        to_version=assessment.target.version,
        from_artefact=facts.workload.value.wanted if facts.workload.value else None,
        to_artefact=assessment.target_artefact,
        created_at=terms.now,
        expires_at=terms.now + timedelta(seconds=terms.expires_s),
        why=assessment.why,
        verdict=assessment.verdict,
        steps=steps,
        findings=(*assessment.findings, *_invariant(visited, assessment)),
        accepted=request.accept,
        estimates=estimates,
        total=_total(estimates.values()),
        downtime=_downtime(visited, estimates),
        hazards={s.key: found for s in steps if (found := kinds[s.spec.kind].hazards(s.spec))},
        point_of_no_return=next(
            (s.key for s in steps if s.no_inverse_because and s.no_inverse_because != LOOKS_ONLY), None
        ),
    )


def plan_hold(facts: Facts, kinds: Mapping[str, StepKind], terms: Terms) -> Plan:
    """Return the plan that stops the harm by every means configured that is not yet in force."""
    specs = [(Phase.HOLD, spec) for spec in _hold_specs(facts, strongest=True)]
    if terms.has_database:
        specs.append((Phase.VERIFY, _no_writes()))
    return _simple(
        facts, specs, kinds, terms, "hold", msg("The service is stopped at once, before any plan is made.")
    )


def plan_release_hold(facts: Facts, kinds: Mapping[str, StepKind], terms: Terms) -> Plan:
    """Return the plan that puts back exactly what was before the hold."""
    specs = [(Phase.RELEASE_HOLD, _release(spec)) for spec in reversed(_held_specs(facts))]
    return _simple(
        facts, specs, kinds, terms, "release_hold", msg("What is held is let go, exactly as it was before.")
    )


def plan_abort(original: Plan, begun: Sequence[str], kinds: Mapping[str, StepKind], terms: Terms) -> Plan:
    """Return the plan that undoes what a run began: the inverses of its steps, backwards.

    Raises:
        Refused: The run is past its point of no return.
    """
    undone = [s for s in original.steps if s.key in begun]
    for step in undone:
        if step.inverse is None and step.no_inverse_because != LOOKS_ONLY:
            raise Refused(
                msg("Step {key} cannot be undone: {why}", key=step.key, why=str(step.no_inverse_because)),
                state=msg("The run is past its point of no return."),
                next_command="backout resume",
            )
    specs = [
        (_ABORT_PHASE.get(s.phase, s.phase), s.inverse) for s in reversed(undone) if s.inverse is not None
    ]
    steps = _numbered(specs, kinds)
    return original.model_copy(
        update={
            "id": terms.plan_id,
            "purpose": "abort",
            "from_version": original.to_version,
            "to_version": original.from_version,
            "from_artefact": original.to_artefact,
            "to_artefact": original.from_artefact,
            "created_at": terms.now,
            "expires_at": terms.now + timedelta(seconds=terms.expires_s),
            "why": msg("What the run began is undone, backwards."),
            "steps": steps,
            "estimates": {},
            "total": Estimate(),
            "downtime": None,
            "hazards": {},
            "point_of_no_return": None,
        }
    )


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
    accepted = " ".join(f"--accept {name}" for name in (*plan.accepted, accept))
    command = f"backout plan --to {plan.to_version} {accepted}" if accept else "backout releases"
    what = msg("{evidence} {remedy}", evidence=str(worst.evidence), remedy=str(worst.remedy or ""))
    state = msg("Nothing was changed; {version} still runs.", version=plan.from_version or "what ran")
    error = NeedsAcceptance if worst.severity is Severity.NEEDS_APPROVAL else Refused
    return error(what, state=state, next_command=command)


def world_now(facts: Facts) -> World:
    """Return the simulation's first world."""
    workload = facts.workload.value
    by_ref = {r.artefact.ref: r.version for r in facts.releases if r.artefact is not None}
    schema = facts.schema_now.value
    wanted = workload.wanted if workload else None
    serving = {by_ref.get(a.ref, a.ref) for a in (workload.running if workload else ())}
    believed = current_version(facts)
    if workload is not None and workload.expected == 0 and believed is not None:
        serving = {believed}
    return World(
        serving=frozenset(serving),
        holds=frozenset(
            h.name for h in facts.holds if h.held is Answer.YES and h.mode in ("queue", "maintenance")
        ),
        fingerprint=schema.fingerprint if schema else None,
        code=by_ref.get(wanted.ref, wanted.ref) if wanted else None,
    )


LOOKS_ONLY = msg("It only looks.")
_STOPPING = (Severity.BLOCKS, Severity.LOSES_DATA, Severity.NEEDS_APPROVAL)
_ABORT_PHASE = {
    Phase.RELEASE_HOLD: Phase.HOLD,
    Phase.HOLD: Phase.RELEASE_HOLD,
    Phase.SAFEGUARD: Phase.CLEAN_UP,
}


def _only_code(assessment: Assessment) -> None:
    if assessment.named is not None:
        raise NeedsAcceptance(
            msg(
                "Scenario {scenario} is needed: {why}",
                scenario=assessment.named.value,
                why=str(assessment.why),
            ),
            state=msg("Nothing was changed. backout never chooses a restore by itself."),
            next_command=f"backout plan --scenario {assessment.named.value}",
        )
    if assessment.scenario is not Scenario.CODE:
        raise NotPossible(
            msg(
                "Scenario {scenario} needs a backup to restore, and none is configured.",
                scenario=assessment.scenario.value,
            ),
            state=msg("Nothing was changed."),
            next_command="backout plan --scenario code",
        )


def _steps(
    assessment: Assessment,
    facts: Facts,
    request: Request,
    switch: Sequence[StepSpec],
    kinds: Mapping[str, StepKind],
    terms: Terms,
) -> tuple[PlannedStep, ...]:
    target, artefact = assessment.target, assessment.target_artefact
    verify = StepSpec(
        kind="verify",
        target="checks",
        params={"version": target.version, "ref": artefact.ref, "digest": artefact.digest},
        timeout_s=terms.verify_timeout_s,
    )
    if (
        assessment.current_version == target.version
        and not _half_deployed(facts, artefact.ref)
        and not _held_specs(facts)
    ):
        return _numbered([(Phase.VERIFY, verify)], kinds)
    holds = _hold_specs(facts, strongest=request.hold_first)
    held = [*_held_specs(facts), *holds]
    specs: list[tuple[Phase, StepSpec]] = []
    if request.hold_first:
        # The harm stops before anything is looked at again; the guard comes right after.
        specs += [(Phase.HOLD, s) for s in holds] + [(Phase.PREPARE, _guard(facts, artefact))]
    else:
        specs += [(Phase.GUARD, _guard(facts, artefact))]
    if (
        assessment.current_version is not None
        and assessment.current_version != target.version
        and not _goes_forward(assessment, facts)
    ):
        phase = Phase.PREPARE if request.hold_first else Phase.SAFEGUARD
        specs.append((phase, _quarantine(assessment.current_version, target.version)))
    if not request.hold_first:
        specs += [(Phase.HOLD, s) for s in holds]
    specs += _switch_steps(switch, held, kinds, target.version, world_now(facts))
    specs += [(Phase.RELEASE_HOLD, _release(s)) for s in reversed(held) if s.params["mode"] != REFUSES_WRITES]
    specs.append((Phase.VERIFY, verify))
    return _numbered(specs, kinds)


def _goes_forward(assessment: Assessment, facts: Facts) -> bool:
    """Whether the target came after what runs: then nothing is backed out, and nothing is shut away."""
    current = release_of(facts, assessment.current_version) if assessment.current_version else None
    target = assessment.target
    return (
        current is not None
        and target.deployed_at > current.deployed_at
        and order_key(target.version) > order_key(current.version)
    )


def _switch_steps(
    switch: Sequence[StepSpec],
    held: Sequence[StepSpec],
    kinds: Mapping[str, StepKind],
    to_version: str,
    world: World,
) -> list[tuple[Phase, StepSpec]]:
    """Writes are let through right before the earlier release starts: many programs write while they start."""
    lets_write = [_release(s) for s in reversed(held) if s.params["mode"] == REFUSES_WRITES]
    specs: list[tuple[Phase, StepSpec]] = []
    for spec in switch:
        after = kinds[spec.kind].effect(spec, world)[-1]
        if lets_write and to_version in after.serving:
            specs += [(Phase.REVERT_CODE, s) for s in lets_write]
            lets_write = []
        specs.append((Phase.REVERT_CODE, spec))
        world = after
    return specs + [(Phase.RELEASE_HOLD, s) for s in lets_write]


def _half_deployed(facts: Facts, ref: str) -> bool:
    workload = facts.workload.value
    return (
        workload is None
        or workload.expected == 0
        or {a.ref for a in workload.running} != {ref}
        or workload.up < workload.expected
    )


def _guard(facts: Facts, artefact: Artefact) -> StepSpec:
    workload, schema = facts.workload.value, facts.schema_now.value
    expects: dict[str, str | None] = {"wanted": workload.wanted.ref if workload and workload.wanted else None}
    if facts.schema_now.known:
        expects["schema"] = schema.fingerprint if schema else None
    if artefact.digest is not None:
        expects["content"] = artefact.digest
    return StepSpec.model_validate(
        {
            "kind": "guard",
            "target": "world",
            "params": {"ref": artefact.ref},
            "expects": expects,
            "timeout_s": 60.0,
        }
    )


def _quarantine(version: str, to_version: str) -> StepSpec:
    return StepSpec(
        kind="quarantine",
        target="records",
        params={"version": version, "reason": f"backed out to {to_version}"},
        timeout_s=15.0,
    )


def _no_writes() -> StepSpec:
    return StepSpec(kind="hold.proof", target="database", params={"window_s": 1.5}, timeout_s=15.0)


def _hold_specs(facts: Facts, *, strongest: bool) -> list[StepSpec]:
    """Without `strongest`, only what lets requests wait; with it, every means by its strongest mode."""
    specs = []
    for fact in facts.holds:
        if fact.held is not Answer.NO:
            continue
        mode = _mode(fact, strongest)
        if mode is not None:
            specs.append(_hold(fact, mode))
    return specs


def _mode(fact: HoldFact, strongest: bool) -> str | None:
    wanted = ("maintenance", REFUSES_WRITES, "suspend") if strongest else ("queue",)
    return next((m for m in wanted if m in fact.modes), None)


def _held_specs(facts: Facts) -> list[StepSpec]:
    return [_hold(f, f.mode or f.modes[0]) for f in facts.holds if f.held is Answer.YES]


def _hold(fact: HoldFact, mode: str) -> StepSpec:
    return StepSpec(
        kind="hold",
        target=f"hold:{fact.name}",
        params={"name": fact.name, "mode": mode, "prior": fact.prior},
        timeout_s=30.0,
    )


def _release(hold: StepSpec) -> StepSpec:
    return hold.model_copy(update={"kind": "hold.release"})


def _simple(
    facts: Facts,
    specs: Sequence[tuple[Phase, StepSpec]],
    kinds: Mapping[str, StepKind],
    terms: Terms,
    purpose: str,
    why: Message,
) -> Plan:
    steps = _numbered(specs, kinds)
    estimates = {s.key: _estimate(facts, s.spec.kind) for s in steps}
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
            "total": _total(estimates.values()),
        }
    )


def _numbered(
    specs: Sequence[tuple[Phase, StepSpec]], kinds: Mapping[str, StepKind]
) -> tuple[PlannedStep, ...]:
    steps = []
    for number, (phase, spec) in enumerate(specs, start=1):
        inverse = kinds[spec.kind].inverse(spec)
        slug = spec.kind.replace(".", "-")
        steps.append(
            PlannedStep(
                key=f"{number:02d}-{slug}",
                phase=phase,
                spec=spec,
                inverse=inverse,
                no_inverse_because=None if inverse else LOOKS_ONLY,
            )
        )
    return tuple(steps)


def _invariant(visited: Sequence[Visited], assessment: Assessment) -> tuple[Finding, ...]:
    def can_use(version: str, _fingerprint: str | None) -> Answer:
        # The code scenario leaves the schema alone: there is one fingerprint, and the assessment speaks of it.
        return assessment.compatibility.answer if version == assessment.target.version else Answer.UNKNOWN

    return tuple(
        Finding(
            rule="plan.invariant",
            severity=Severity.BLOCKS if v.answer is Answer.NO else Severity.NEEDS_APPROVAL,
            evidence=msg(
                "After step {step}, {version} would act on a schema that it is not known to be able to use.",
                step=v.after,
                version=v.version,
            ),
            accept=None if v.answer is Answer.NO else "schema-unknown",
        )
        for v in violations(visited, can_use)[:1]
    )


def _estimate(facts: Facts, kind: str) -> Estimate:
    seconds = facts.step_seconds.get(kind, ())
    return Estimate(seconds=round(median(seconds), 3), runs=len(seconds)) if seconds else Estimate()


def _total(estimates: Iterable[Estimate]) -> Estimate:
    parts = list(estimates)
    seconds = [e.seconds for e in parts if e.seconds is not None]
    if not parts or len(seconds) < len(parts):
        return Estimate()
    return Estimate(seconds=round(sum(seconds), 3), runs=min(e.runs for e in parts))


def _downtime(visited: Sequence[Visited], estimates: Mapping[str, Estimate]) -> Downtime:
    held = list(held_steps(visited))
    down = list(down_steps(visited))
    if held:
        basis = msg(
            "Requests are held during {steps}; the time is the sum of those steps.", steps=_through(held)
        )
    elif down:
        basis = msg("Nothing holds requests: they fail during {steps}.", steps=_through(down))
    else:
        basis = msg("Nothing is held and something serves at every moment.")
    return Downtime(
        held=_total([estimates[k] for k in held]) if held else Estimate(seconds=0.0, runs=0),
        down=_total([estimates[k] for k in down]) if down else Estimate(seconds=0.0, runs=0),
        basis=basis,
    )


def _through(keys: Sequence[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{keys[0]} … {keys[-1]}"
