"""Rules about what runs now."""

from __future__ import annotations

from collections.abc import Iterator

from backout.assess.model import Case
from backout.message import msg
from backout.plan.model import Finding, Severity


def no_record(case: Case) -> Iterator[Finding]:
    """The running release has no record: when it came, and on which schema, is not known."""
    if case.current_version is not None and case.current is None:
        yield Finding(
            rule="current.no-record",
            severity=Severity.WARNS,
            evidence=msg("The running release {version} was never recorded.", version=case.current_version),
            remedy=msg(
                "Record releases as they are deployed: backout record, as the last line of the deploy script."
            ),
        )


def several_versions(case: Case) -> Iterator[Finding]:
    """More than one artefact runs: a deploy is half done."""
    workload = case.facts.workload.value
    if workload is None:
        return
    running = {a.ref for a in workload.running}
    wanted = workload.wanted.ref if workload.wanted else "nothing"
    if len(running) > 1 or (running and wanted not in running):
        yield Finding(
            rule="current.half-deployed",
            severity=Severity.WARNS,
            evidence=msg(
                "A deploy is half done: {wanted} is wanted, {running} runs.",
                wanted=wanted,
                running=", ".join(sorted(running)),
            ),
        )


def nothing_runs(case: Case) -> Iterator[Finding]:
    """Nothing runs: the service is down already."""
    workload = case.facts.workload.value
    if workload is not None and workload.expected > 0 and not workload.running:
        yield Finding(
            rule="current.down",
            severity=Severity.WARNS,
            evidence=msg(
                "Nothing of {service} runs now ({up} of {expected} up).",
                service=case.facts.service,
                up=workload.up,
                expected=workload.expected,
            ),
        )


def unobservable(case: Case) -> Iterator[Finding]:
    """The platform cannot tell what runs: the records are believed, and the outcome will be unknown."""
    workload = case.facts.workload.value
    if workload is not None and workload.expected == 0:
        yield Finding(
            rule="current.unobservable",
            severity=Severity.NEEDS_APPROVAL,
            evidence=msg(
                "The platform {platform} cannot tell what runs; the records say {version}.",
                platform=case.facts.platform,
                version=case.current_version or "nothing",
            ),
            remedy=msg(
                "Declare platform.probe; or go on and look yourself afterwards: --accept outcome-unknown."
            ),
            accept="outcome-unknown",
        )


def unshared_state(case: Case) -> Iterator[Finding]:
    """In production, only one state file knows the releases and who acts."""
    if case.facts.environment == "production" and not case.facts.records_at_target:
        yield Finding(
            rule="current.unshared-state",
            severity=Severity.WARNS,
            evidence=msg(
                "Release records and the lease are in one state file alone: other machines do not see them."
            ),
            remedy=msg("Act from one machine only, or keep the state folder on shared storage."),
        )


RULES = (unobservable, unshared_state, no_record, several_versions, nothing_runs)
