"""Recording a release when it is deployed: what it is, on which schema, and whether it serves well."""

from __future__ import annotations

import shlex

from backout.app.back import note_proof
from backout.app.canary_now import sharing
from backout.app.held import holding
from backout.app.observe import observe
from backout.app.parts import Parts
from backout.app.ready import Note, wait_until_ready
from backout.app.targets import heads_seen, served_well
from backout.assess.versions import current_version, unknown_version
from backout.checks.base import Outcome, Subject, Verification
from backout.checks.run import run_checks
from backout.document import Document
from backout.errors import CannotAssess, Quarantined, UnknownVersion, UsageError
from backout.facts import Facts
from backout.git.tags import tags
from backout.ids import new_id
from backout.message import msg
from backout.release import Artefact, Release, ReleaseState

CHECKS_DEADLINE_S = 60.0
_GIT_DEADLINE_S = 2.0


class Recording(Document):
    """What `record` is told; everything not told is found by asking.

    Attributes:
        state: `deploying` or `failed` as the deploy script knows it; None: the checks decide.
        accept: `quarantined` lets a release back in that was backed out.
    """

    version: str | None = None
    commit: str | None = None
    subject: str | None = None
    by: str | None = None
    state: ReleaseState | None = None
    checks: bool = True
    accept: tuple[str, ...] = ()


class Recorded(Document):
    """What was recorded, and what the checks said.

    Attributes:
        held: What holds requests or writes: the checks would have met the hold, so they did not look.
        canary: The version that shares the requests with another: the checks would have met both, so they did not look.
    """

    release: Release
    verification: Verification | None = None
    held: tuple[str, ...] = ()
    canary: str | None = None


def record(parts: Parts, told: Recording, note: Note = lambda _message: None) -> Recorded:
    """Note the release that runs now (or is being deployed). Idempotent for the same version and artefact.

    Where the checks decide, it first waits until the service is ready: a deploy script may just have started it.
    While something is held, or a canary shares the requests, nobody judges: the state stays what it was.

    Args:
        parts: The service.
        told: What is known of the release.
        note: Is told what is waited for.

    Raises:
        Quarantined: The version was backed out, and is not named on purpose.
        CannotAssess: What runs cannot be told, and no version was given.
        UnknownVersion: The platform does not have the version that was given.
    """
    named = (told.version,) if told.version else ()
    facts = observe(parts, versions=named)
    judged = told.state is None and told.checks
    held = holding(facts) if judged else ()
    if judged and not held:
        wait_until_ready(parts, note)
        facts = observe(parts, versions=named)
    version = told.version or current_version(facts)
    if version is None:
        raise CannotAssess(
            msg(
                "What runs now cannot be told: {reason}",
                reason=str(facts.workload.unknown or "nothing is deployed"),
            ),
            state=msg("Nothing was recorded."),
            next_command="backout record --version VERSION",
        )
    _refuse_what_is_not_there(facts, version, told)
    _refuse_quarantined(facts, version, told)
    if parts.book.is_quarantined(version):
        parts.book.lift(version, ReleaseState.UNKNOWN, None)
        facts = observe(parts, versions=(version,))
    release = _release(parts, facts, version, told)
    canary = sharing(parts, facts) if judged else None
    if not judged or held or canary is not None or not _runs(facts, release):
        parts.book.record(release, facts.schema_now.value)
        return Recorded(release=release, held=held, canary=canary.version if canary is not None else None)
    found = _checked(parts, facts, release)
    state = {Outcome.PASS: ReleaseState.GOOD, Outcome.FAIL: ReleaseState.BAD}.get(
        found.outcome, ReleaseState.UNKNOWN
    )
    release = release.model_copy(update={"state": state})
    if found.outcome is Outcome.PASS:
        release = served_well(parts, release, found)
    parts.book.record(release, facts.schema_now.value)
    note_proof(parts, release, found)
    return Recorded(release=release, verification=found)


def _release(parts: Parts, facts: Facts, version: str, told: Recording) -> Release:
    artefact = _artefact(parts, facts, version)
    known = next((r for r in facts.releases if r.version == version and r.source == "recorded"), None)
    same = (
        known is not None
        and known.artefact is not None
        and artefact is not None
        and known.artefact.digest == artefact.digest
    )
    tag = next(
        (
            t
            for t in tags(parts.site.directory, _GIT_DEADLINE_S)
            if t.version.lstrip("v") == version.lstrip("v")
        ),
        None,
    )
    now = parts.clock.now()
    # While another release is known to run, the schema as it stands is not the one of this release.
    runs = current_version(facts) in (None, version)
    schema = facts.schema_now.value if runs else None
    base = known if known is not None and (same or known.state is ReleaseState.DEPLOYING) else None
    made = Release(
        id=base.id if base else new_id("rel", now),
        service=facts.service,
        environment=facts.environment,
        version=version,
        deployed_at=base.deployed_at if base else now,
        deployed_by=told.by or (base.deployed_by if base else None) or parts.actor,
        commit=told.commit or (base.commit if base else None) or (tag.commit if tag else None),
        subject=told.subject or (base.subject if base else None) or (tag.subject if tag else None),
        artefact=artefact,
        schema_fingerprint=schema.fingerprint if schema else (base.schema_fingerprint if base else None),
        served_well=base.served_well if base else (),
        migration_heads=base.migration_heads if base else (),
        baseline=base.baseline if base else None,
        config_digest=parts.config_digest,
        state=told.state
        or (base.state if base and base.state is not ReleaseState.DEPLOYING else ReleaseState.UNKNOWN),
    )
    return made.model_copy(update={"migration_heads": heads_seen(parts, made)}) if runs else made


def _artefact(parts: Parts, facts: Facts, version: str) -> Artefact | None:
    known = {name for a in facts.available.value or () for name in (a.ref, a.called)}
    workload = facts.workload.value
    if workload is not None and current_version(facts) == version and workload.wanted is not None:
        return parts.platform.identify(workload.wanted.ref)
    if version in known or not known:
        try:
            return parts.platform.identify(version)
        except UnknownVersion:
            return None  # It is being deployed: the platform does not have it yet.
    return None


def _runs(facts: Facts, release: Release) -> bool:
    """Return whether it runs or is told to run: then the checks can tell, also that it is down."""
    workload = facts.workload.value
    if workload is None or release.artefact is None:
        return False
    told = [*workload.running, *([workload.wanted] if workload.wanted else [])]
    return any(a.ref == release.artefact.ref for a in told)


def _checked(parts: Parts, facts: Facts, release: Release) -> Verification:
    earlier = next(
        (r for r in facts.releases if r.version != release.version and r.baseline is not None), None
    )
    subject = Subject(
        platform=parts.platform,
        database=parts.database,
        clock=parts.clock,
        redactor=parts.site.redactor,
        artefact=release.artefact,
        version=release.version,
        normal=release.baseline or (earlier.baseline if earlier else None),
        changed_at=release.deployed_at,
        release_deployed_at=release.deployed_at,
    )
    return run_checks(parts.checks, subject, CHECKS_DEADLINE_S)


def _refuse_what_is_not_there(facts: Facts, version: str, told: Recording) -> None:
    """Raise `UnknownVersion` for a version that the platform does not have, unless its deploy goes on or failed.

    A record that nothing can run would be suggested at night as a way back.
    """
    if not version.isprintable() or ".." in version.split("/") or version.startswith(("/", "-", " ")):
        raise UsageError(
            msg("{version} cannot be the name of a release.", version=ascii(version)),
            state=msg("Nothing was recorded."),
            next_command="backout releases",
        )
    if told.state in (ReleaseState.DEPLOYING, ReleaseState.FAILED) or version == current_version(facts):
        return
    running = facts.workload.value.running if facts.workload.value else ()
    there = {name for a in (*(facts.available.value or ()), *running) for name in (a.ref, a.called)}
    recorded = {r.version for r in facts.releases if r.source == "recorded"}
    artefacts = {r.artefact.ref for r in facts.releases if r.artefact is not None and r.version == version}
    if facts.available.value and version not in recorded and not ({version} | artefacts) & there:
        error = unknown_version(facts, version, "backout record --version")
        error.state = msg("Nothing was recorded. While it is being deployed: --state deploying.")
        raise error


def _refuse_quarantined(facts: Facts, version: str, told: Recording) -> None:
    for entry in facts.quarantined:
        if entry.version == version and "quarantined" not in told.accept:
            raise Quarantined(
                msg(
                    "{version} was backed out ({reason}) and is quarantined.",
                    version=version,
                    reason=entry.reason,
                ),
                state=msg("Nothing was recorded. If it is deployed on purpose, name that."),
                next_command=_again(told, version),
            )


def _again(told: Recording, version: str) -> str:
    """Return the command that was typed, with the version and the quarantine named."""
    words = ["backout", "record", "--version", version]
    for option, value in (("--commit", told.commit), ("--subject", told.subject), ("--by", told.by)):
        words += [option, value] if value else []
    words += ["--state", told.state.value] if told.state else []
    words += [] if told.checks else ["--no-checks"]
    for name in (*told.accept, "quarantined"):
        words += ["--accept", name]
    return shlex.join(words)
