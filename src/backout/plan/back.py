"""Plans the way back of an assessment: steps in the order of phases, and what they cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from backout.assess.model import Assessment, Request
from backout.assess.versions import order_key, release_of
from backout.errors import NeedsAcceptance, NotPossible
from backout.facts import Answer, Facts
from backout.message import msg
from backout.plan.assembly import LOOKS_ONLY, Terms, estimate, numbered, total
from backout.plan.base import StepKind, World
from backout.plan.holding import REFUSES_WRITES, held_specs, hold_specs, release_of_hold
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
from backout.plan.quarantining import lift_spec, quarantine_spec
from backout.plan.simulate import Visited, down_steps, held_steps, simulate, violations
from backout.plan.start import serving_now, world_now
from backout.release import Artefact


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
    estimates = {s.key: estimate(facts, s.spec.kind) for s in steps}
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
        total=total(estimates.values()),
        downtime=_downtime(visited, estimates),
        hazards={s.key: found for s in steps if (found := kinds[s.spec.kind].hazards(s.spec))},
        point_of_no_return=next(
            (s.key for s in steps if s.no_inverse_because and s.no_inverse_because != LOOKS_ONLY), None
        ),
        serving=serving_now(facts),
    )


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
        and not held_specs(facts)
    ):
        return numbered([(Phase.VERIFY, verify)], kinds)
    holds = hold_specs(facts, strongest=request.hold_first)
    held = [*held_specs(facts), *holds]
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
        specs.append((phase, quarantine_spec(facts, assessment.current_version, target.version)))
    shut_away = next((q for q in facts.quarantined if q.version == target.version), None)
    if shut_away is not None:
        phase = Phase.PREPARE if request.hold_first else Phase.SAFEGUARD
        specs.append((phase, lift_spec(facts, shut_away)))
    if not request.hold_first:
        specs += [(Phase.HOLD, s) for s in holds]
    specs += _switch_steps(switch, held, kinds, target.version, world_now(facts))
    specs += [
        (Phase.RELEASE_HOLD, release_of_hold(s)) for s in reversed(held) if s.params["mode"] != REFUSES_WRITES
    ]
    specs.append((Phase.VERIFY, verify))
    return numbered(specs, kinds)


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
    lets_write = [release_of_hold(s) for s in reversed(held) if s.params["mode"] == REFUSES_WRITES]
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
        held=total([estimates[k] for k in held]) if held else Estimate(seconds=0.0, runs=0),
        down=total([estimates[k] for k in down]) if down else Estimate(seconds=0.0, runs=0),
        basis=basis,
    )


def _through(keys: Sequence[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{keys[0]} … {keys[-1]}"
