"""Rules about the release to go back to."""

from __future__ import annotations

from collections.abc import Iterator

from backout.assess.model import Case
from backout.assess.versions import order_key
from backout.message import msg
from backout.plan.model import Finding, Severity
from backout.release import ReleaseState


def quarantined(case: Case) -> Iterator[Finding]:
    """The target was backed out before."""
    for entry in case.facts.quarantined:
        if entry.version == case.target.version:
            yield Finding(
                rule="target.quarantined",
                severity=Severity.BLOCKS,
                evidence=msg(
                    "{version} was backed out on {since} ({reason}).",
                    version=entry.version,
                    since=f"{entry.since:%Y-%m-%d %H:%M UTC}",
                    reason=entry.reason,
                ),
                remedy=msg(
                    "Choose another version (backout releases), or name the risk: --accept quarantined."
                ),
                accept="quarantined",
            )


def below_minimum(case: Case) -> Iterator[Finding]:
    """The target is below the security floor."""
    floor = case.allowed.min_version
    if floor is not None and order_key(case.target.version) < order_key(floor):
        yield Finding(
            rule="target.below-minimum",
            severity=Severity.BLOCKS,
            evidence=msg(
                "{version} is below policy.min_version {floor}.", version=case.target.version, floor=floor
            ),
            remedy=msg(
                "Choose a version from {floor} on, or name the risk: --accept below-min-version.", floor=floor
            ),
            accept="below-min-version",
        )


def known_bad(case: Case) -> Iterator[Finding]:
    """The target is on record as bad or as never having come up."""
    if case.target.state in (ReleaseState.BAD, ReleaseState.FAILED) and not any(
        q.version == case.target.version for q in case.facts.quarantined
    ):
        yield Finding(
            rule="target.known-bad",
            severity=Severity.BLOCKS,
            evidence=msg(
                "{version} is on record as {state}.",
                version=case.target.version,
                state=case.target.state.value,
            ),
            remedy=msg("Choose another version (backout releases), or name the risk: --accept known-bad."),
            accept="known-bad",
        )


def changed_since(case: Case) -> Iterator[Finding]:
    """The artefact is not what was recorded."""
    recorded, now = case.target.artefact, case.target_artefact
    if recorded is not None and recorded.digest and now.digest and recorded.digest != now.digest:
        yield Finding(
            rule="target.changed",
            severity=Severity.NEEDS_APPROVAL,
            evidence=msg("{ref} is not what was recorded: its content changed since.", ref=now.ref),
            remedy=msg(
                "Deploy {version} anew from its source, or name the risk: --accept artefact-changed.",
                version=case.target.version,
            ),
            accept="artefact-changed",
        )


def never_proven(case: Case) -> Iterator[Finding]:
    """Nobody recorded that the target served well."""
    if case.target.state in (ReleaseState.UNKNOWN, ReleaseState.DEPLOYING):
        yield Finding(
            rule="target.never-proven",
            severity=Severity.WARNS,
            evidence=msg("No record says that {version} ever served well.", version=case.target.version),
        )


def runs_already(case: Case) -> Iterator[Finding]:
    """The target is what runs: nothing is changed, it is only proven."""
    if case.runs_already:
        yield Finding(
            rule="target.runs-already",
            severity=Severity.INFO,
            evidence=msg(
                "{version} runs already: nothing is changed, it is only proven.", version=case.target.version
            ),
        )


RULES = (runs_already, quarantined, below_minimum, known_bad, changed_since, never_proven)
