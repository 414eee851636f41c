"""Puts an assessment together: the target, its compatibility, the scenario, and every rule's findings."""

from __future__ import annotations

from datetime import datetime

from backout.assess.allowed import Allowed
from backout.assess.backups import choose_backup
from backout.assess.compatibility import (
    compatibility,
    restored_compatibility,
    undone_compatibility,
)
from backout.assess.model import Assessment, Case, Request
from backout.assess.rules import RULES
from backout.assess.scenario import decide
from backout.assess.versions import current_version, release_of
from backout.errors import CannotAssess
from backout.facts import Facts
from backout.message import Message, msg
from backout.observed import Answer
from backout.plan.model import Finding, Scenario, Severity, Verdict
from backout.release import Artefact, Release

UNPROVEN = frozenset({"schema.unknown", "target.changed", "target.never-proven", "current.unobservable"})
"""Rules whose findings leave the verdict unknown."""


def assess(
    facts: Facts,
    request: Request,
    allowed: Allowed,
    target: Release,
    target_artefact: Artefact,
    now: datetime,
) -> Assessment:
    """Return what the facts mean for going back to `target`.

    Raises:
        CannotAssess: What runs now could not be observed.
        NoBackup, UnknownBackup, NeedsAcceptance: See `choose_backup`.
    """
    if not facts.workload.known:
        raise CannotAssess(
            msg("What runs now cannot be told: {reason}", reason=str(facts.workload.unknown)),
            state=msg("Nothing was changed."),
            next_command="backout doctor",
        )
    as_it_stands = compatibility(target, facts, allowed)
    undone = undone_compatibility(target, facts, allowed)
    scenario, why, named = _scenario(request, as_it_stands.answer, undone.answer if undone else None)
    restores = named is None and scenario in (Scenario.DATA, Scenario.FULL)
    choice = choose_backup(facts, request, target) if restores else None
    # Chosen tables come back into the schema that there is.
    compatible = as_it_stands
    if scenario is Scenario.SCHEMA and undone is not None:
        compatible = undone
    elif choice is not None and not request.tables:
        compatible = restored_compatibility(target, choice, facts, allowed)
    current = current_version(facts)
    case = Case(
        facts=facts,
        request=request,
        allowed=allowed,
        current_version=current,
        current=release_of(facts, current) if current else None,
        target=target,
        target_artefact=target_artefact,
        compatibility=compatible,
        now=now,
        choice=choice,
        scenario=scenario,
    )
    findings = tuple(finding for rule in RULES for finding in rule(case))
    return Assessment(
        verdict=_verdict(findings, named, restores=restores),
        scenario=scenario,
        why=why,
        named=named,
        findings=findings,
        current_version=current,
        target=target,
        target_artefact=target_artefact,
        compatibility=compatible,
        choice=choice,
    )


def _scenario(
    request: Request, answer: Answer, undone: Answer | None
) -> tuple[Scenario, Message, Scenario | None]:
    if request.scenario is not None:
        return (
            request.scenario,
            msg("Scenario {scenario} was asked for.", scenario=request.scenario.value),
            None,
        )
    row = decide(request.cause, answer, undone)
    return row.scenario, row.why, row.scenario if row.named else None


def _verdict(findings: tuple[Finding, ...], named: Scenario | None, *, restores: bool) -> Verdict:
    rules = {f.rule for f in findings}
    if "schema.unusable" in rules:
        return Verdict.FORWARD_FIX_ONLY
    if named is not None or any(f.severity is Severity.LOSES_DATA for f in findings):
        return Verdict.REVERSIBLE_WITH_LOSS
    if restores and not rules & {"schema.unknown", "target.never-proven"}:
        return Verdict.REVERSIBLE_WITH_LOSS
    if rules & UNPROVEN:
        return Verdict.UNKNOWN
    return Verdict.REVERSIBLE
