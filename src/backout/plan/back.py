"""Plans the way back of an assessment: steps in the order of phases, and what they cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from backout.assess.model import Assessment, Request
from backout.assess.versions import order_key, release_of
from backout.errors import NeedsAcceptance
from backout.facts import Facts
from backout.message import msg
from backout.observed import KEEPS_WRITES_AWAY, Answer
from backout.plan.assembly import HARMLESS, Terms, estimate, numbered, total
from backout.plan.base import StepKind, World
from backout.plan.data import data_steps
from backout.plan.holding import (
    SUSPENDS,
    held_specs,
    hold_specs,
    release_of_hold,
    suspend_specs,
)
from backout.plan.lengths import lengths
from backout.plan.model import (
    Downtime,
    Estimate,
    Finding,
    Phase,
    Plan,
    PlannedStep,
    Severity,
    StepSpec,
    Way,
)
from backout.plan.quarantining import lift_spec, quarantine_spec
from backout.plan.restoring import Restoring, reconnecting, restored_fingerprint
from backout.plan.simulate import Visited, down_steps, held_steps, simulate, violations
from backout.plan.start import serving_now, world_now
from backout.plan.undoing import Undoing, undoing
from backout.release import Artefact

_EVIDENCE_WITHIN_S = 10.0
"""The longest that saving evidence may keep a way back waiting."""


def plan_back(
    assessment: Assessment,
    facts: Facts,
    request: Request,
    switch: Sequence[StepSpec],
    kinds: Mapping[str, StepKind],
    terms: Terms,
    *,
    restart: Sequence[StepSpec] = (),
    stop: Sequence[StepSpec] = (),
    stays: Sequence[str] = (),
) -> Plan:
    """Return the plan that takes code, data or both back; `refusal` says whether it may run.

    Args:
        assessment: What the facts mean.
        facts: The facts.
        request: What was asked.
        switch: The platform's steps that make the target run; empty where only the data goes back.
        kinds: Every kind of step.
        terms: What plans are made under.
        restart: The platform's steps that restart the target, should it serve through a swap and not reach its
            database afterwards.
        stop: The platform's steps that end what runs besides the target and could write without requests; only taken
            where the schema, or the data, goes back.
        stays: What runs besides it and cannot be ended.

    Raises:
        NeedsAcceptance: The decision table names a scenario that restores or loses rows.
    """
    _only_what_was_asked(assessment)
    data = data_steps(assessment, facts, request, terms)
    schema = undoing(assessment, facts)
    ways = _Ways(tuple(switch), tuple(restart), tuple(stop), data, schema)
    steps = _steps(assessment, facts, request, ways, kinds, terms)
    start = world_now(facts)
    visited = tuple(simulate(steps, kinds, start))
    known = _known_lengths(assessment, facts, data, terms)
    estimates = {s.key: estimate(facts, s.spec.kind, known.get(s.spec.kind)) for s in steps}
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
        findings=(
            *assessment.findings,
            *(_left_running(stays) if data is not None or schema is not None else ()),
            *_invariant(visited, assessment, data, schema),
        ),
        accepted=request.accept,
        estimates=estimates,
        total=total(estimates.values()),
        downtime=_downtime(visited, estimates),
        hazards={s.key: found for s in steps if (found := kinds[s.spec.kind].hazards(s.spec))},
        point_of_no_return=next(
            (s.key for s in steps if s.no_inverse_because and s.no_inverse_because not in HARMLESS), None
        ),
        serving=serving_now(facts),
        where=terms.where,
        source=facts.source,
        between=facts.between,
        image=facts.offered.image if facts.offered is not None else None,
        losses=data.losses if data is not None else (),
        data=data.data if data is not None else None,
    )


def _known_lengths(
    assessment: Assessment, facts: Facts, data: Restoring | None, terms: Terms
) -> dict[str, Estimate]:
    seen = facts.data.value if facts.data is not None else None
    if data is None or seen is None or assessment.choice is None:
        return {}
    return lengths(assessment.choice, seen, data.data, terms)


@dataclass(frozen=True, slots=True)
class _Ways:
    """What takes the code back, what ends the later code, what takes the data back, and what takes migrations back."""

    switch: tuple[StepSpec, ...]
    restart: tuple[StepSpec, ...]
    stop: tuple[StepSpec, ...]
    data: Restoring | None
    schema: Undoing | None

    @property
    def change(self) -> list[tuple[Phase, StepSpec]]:
        """What stands between the end of the later code and the start of the earlier one."""
        if self.data is not None:
            return [(Phase.SWAP_DATA, s) for s in (*self.stop, *self.data.change)]
        if self.schema is not None and self.schema.between is not None:
            return [(Phase.SWITCH_SCHEMA, s) for s in (*self.stop, self.schema.between)]
        return []

    @property
    def end(self) -> list[tuple[Phase, StepSpec]]:
        """What ends the later code once it gets no requests, where nothing stands in between."""
        if self.schema is None or self.data is not None or self.schema.between is not None:
            return []
        return [(Phase.CONTRACT_SCHEMA, s) for s in self.stop]


def _only_what_was_asked(assessment: Assessment) -> None:
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


def _steps(
    assessment: Assessment,
    facts: Facts,
    request: Request,
    ways: _Ways,
    kinds: Mapping[str, StepKind],
    terms: Terms,
) -> tuple[PlannedStep, ...]:
    target, artefact, data, schema = assessment.target, assessment.target_artefact, ways.data, ways.schema
    stays = assessment.current_version == target.version and not _half_deployed(facts, artefact.ref)
    verify = StepSpec(
        kind="verify",
        target="checks",
        params={"version": target.version, "ref": artefact.ref, "digest": artefact.digest},
        timeout_s=terms.verify_timeout_s,
    )
    if stays and data is None and schema is None and not held_specs(facts):
        return numbered([(Phase.VERIFY, verify)], kinds)
    if stays and schema is not None:
        ways = replace(ways, switch=())
    # What is overwritten has to be in the safety backup to the last row: nothing may write from then on.
    strongest = request.hold_first or (data is not None and data.overwrites)
    holds = hold_specs(facts, strongest=strongest)
    stands_still = schema is not None and schema.between is not None
    if stands_still and not holds:
        holds = hold_specs(facts, strongest=True)  # nothing lets requests wait: they are refused meanwhile
    elif (data is not None or stands_still) and not strongest:
        holds += suspend_specs(facts)
    held = [*held_specs(facts), *holds]
    specs: list[tuple[Phase, StepSpec]] = []
    if request.hold_first:
        # The harm stops before anything is looked at again; the guard comes right after.
        specs += [(Phase.HOLD, s) for s in holds] + [(Phase.PREPARE, _guard(facts, artefact))]
    else:
        specs += [(Phase.GUARD, _guard(facts, artefact))]
    if terms.evidence and ways.switch:
        specs.append((Phase.PREPARE if request.hold_first else Phase.SAFEGUARD, _evidence(terms)))
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
    if data is not None:
        specs += [(Phase.PREPARE if request.hold_first else Phase.SAFEGUARD, s) for s in data.safeguard]
    if schema is not None and schema.prepare is not None:
        specs.append((Phase.PREPARE if request.hold_first else Phase.SAFEGUARD, schema.prepare))
    if not request.hold_first:
        specs += [(Phase.HOLD, s) for s in holds]
    if data is not None:
        specs += [(Phase.PREPARE, s) for s in data.held]
    if not ways.switch:
        # No request has to be sent elsewhere first: what is left ends before the schema changes under it.
        specs += [(Phase.BRIDGE_SCHEMA, s) for _, s in ways.end]
    if schema is not None and schema.bridge is not None:
        specs.append((Phase.BRIDGE_SCHEMA, schema.bridge))
    specs += _switch_steps(ways, held, kinds, target.version, world_now(facts))
    if ways.switch:
        specs += ways.end
    if schema is not None and schema.contract is not None:
        specs.append((Phase.CONTRACT_SCHEMA, schema.contract))
    if data is not None and (not ways.switch or target.version in world_now(facts).serving):
        specs.append((Phase.START_CODE, reconnecting(target.version, ways.restart, terms, data.data.way)))
    # Workers and crons that were suspended for a swap stay so until a person lets them go.
    kept = KEEPS_WRITES_AWAY if data is None else (*KEEPS_WRITES_AWAY, SUSPENDS)
    specs += [
        (Phase.RELEASE_HOLD, release_of_hold(s)) for s in reversed(held) if s.params["mode"] not in kept
    ]
    specs.append((Phase.VERIFY, verify))
    if schema is not None:
        specs.append((Phase.CLEAN_UP, schema.finish))
    if data is not None:
        specs += [(Phase.CLEAN_UP, s) for s in data.afterwards]
    return numbered(specs, kinds)


def _left_running(stays: Sequence[str]) -> tuple[Finding, ...]:
    if not stays:
        return ()
    return (
        Finding(
            rule="plan.left-running",
            severity=Severity.WARNS,
            evidence=msg(
                "What runs on {sides} goes on writing without requests (workers, crons), and the schema is taken back under it.",
                sides=", ".join(stays),
            ),
            remedy=msg("Stop it yourself, or declare how: platform.sides.NAME.stop, or a hold of workers."),
        ),
    )


def _evidence(terms: Terms) -> StepSpec:
    """Return the step that saves what the switch will delete."""
    return StepSpec(
        kind="evidence.save",
        target="evidence",
        params={"by_hand": list(terms.evidence), "within_s": _EVIDENCE_WITHIN_S},
        timeout_s=2 * _EVIDENCE_WITHIN_S,
    )


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
    ways: _Ways,
    held: Sequence[StepSpec],
    kinds: Mapping[str, StepKind],
    to_version: str,
    world: World,
) -> list[tuple[Phase, StepSpec]]:
    """Right before the earlier release starts its data is there, and writes are let through: many write while they start."""
    lets_write = [release_of_hold(s) for s in reversed(held) if s.params["mode"] in KEEPS_WRITES_AWAY]
    change = ways.change
    before_start = list(change)
    before_start += [(Phase.START_CODE if before_start else Phase.REVERT_CODE, s) for s in lets_write]
    specs: list[tuple[Phase, StepSpec]] = []
    started = False
    for spec in ways.switch:
        after = kinds[spec.kind].effect(spec, world)[-1]
        if not started and to_version in after.serving and not (ways.data and to_version in world.serving):
            specs += before_start
            started = True
        specs.append((Phase.START_CODE if started and change else Phase.REVERT_CODE, spec))
        world = after
    if started:
        return specs
    return specs + change + [(Phase.START_CODE if change else Phase.RELEASE_HOLD, s) for s in lets_write]


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


def _invariant(
    visited: Sequence[Visited], assessment: Assessment, data: Restoring | None, schema: Undoing | None
) -> tuple[Finding, ...]:
    # Chosen tables come back into the schema that there is.
    choice = assessment.choice if data is not None and data.data.way is not Way.TABLES else None

    def can_use(version: str, fingerprint: str | None) -> Answer:
        if schema is not None and fingerprint in schema.bears:
            old, new = schema.bears[fingerprint]
            return old if version == assessment.target.version else new
        # The assessment speaks of the target, on the schema that it will run on: the restored one, else the one there is.
        if version != assessment.target.version:
            return Answer.UNKNOWN
        if choice is not None and fingerprint != restored_fingerprint(choice):
            return Answer.UNKNOWN
        return assessment.compatibility.answer

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
