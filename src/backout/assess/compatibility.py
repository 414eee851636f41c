"""Whether a version can use the schema as it stands: by its record, by rule, or by a person's word; else unknown."""

from __future__ import annotations

from backout.assess.additive import additive, differences
from backout.assess.allowed import Allowed
from backout.assess.model import Choice, Compatibility
from backout.facts import Facts
from backout.message import msg
from backout.observed import Answer
from backout.release import Release, ReleaseState
from backout.schema import Schema


def compatibility(target: Release, facts: Facts, allowed: Allowed) -> Compatibility:
    """Return whether `target` can read and write the schema that the database has now."""
    observed = facts.schema_now
    if not observed.known:
        assert observed.unknown is not None
        return Compatibility(
            answer=Answer.UNKNOWN,
            evidence=msg("The database's schema could not be read: {reason}", reason=str(observed.unknown)),
            remedy=msg(
                "Make the database reachable (backout doctor), or accept the risk by --accept schema-unknown."
            ),
        )
    if observed.value is None:
        return Compatibility(answer=Answer.YES, evidence=msg("No database is configured for this service."))
    now = observed.value
    if now.fingerprint in target.served_well:
        return Compatibility(
            answer=Answer.YES,
            evidence=msg(
                "{version} was recorded serving well on exactly this schema.", version=target.version
            ),
        )
    vouched = _vouched(target, now, facts, allowed)
    return vouched or _by_rule(target, now, facts)


def restored_compatibility(target: Release, choice: Choice, facts: Facts, allowed: Allowed) -> Compatibility:
    """Return whether `target` can use the schema that the chosen backup brings back."""
    fingerprint = choice.backup.manifest.schema_fingerprint if choice.backup.manifest else None
    document = facts.schemas.get(fingerprint) if fingerprint is not None else None
    if document is not None:
        restored = facts.schema_now.model_copy(update={"value": document, "unknown": None})
        return compatibility(target, facts.model_copy(update={"schema_now": restored}), allowed)
    if choice.usable and (fingerprint is None or fingerprint in choice.usable):
        return Compatibility(
            answer=Answer.YES,
            evidence=msg(
                "What is restored is compared, before any request reaches it, with the schema that {version} served well on.",
                version=target.version,
            ),
        )
    return Compatibility(
        answer=Answer.UNKNOWN,
        evidence=msg(
            "Which schema this backup brings back is not known, or not that {version} can use it.",
            version=target.version,
        ),
        remedy=msg(
            "Record releases as they are deployed (backout record), let backout make backups, or accept the risk by "
            "--accept schema-unknown."
        ),
    )


def undone_compatibility(target: Release, facts: Facts, allowed: Allowed) -> Compatibility | None:
    """Return whether `target` can use the schema of before the migrations after it; None: there are none to take back."""
    back = facts.migrations.value if facts.migrations is not None else None
    if back is None or not back.migrations:
        return None
    after = back.schema_after
    document = facts.schemas.get(after) if after is not None else None
    if document is not None:
        taken_back = facts.schema_now.model_copy(update={"value": document, "unknown": None})
        found = compatibility(target, facts.model_copy(update={"schema_now": taken_back}), allowed)
        evidence = msg("Once the migrations are taken back: {evidence}", evidence=str(found.evidence))
        return found.model_copy(update={"evidence": evidence})
    return Compatibility(
        answer=Answer.UNKNOWN,
        evidence=msg(
            "Which schema stands once the migrations are taken back is not known, or not that {version} can use it.",
            version=target.version,
        ),
        remedy=msg(
            "Record releases as they are deployed (backout record), or accept the risk by --accept schema-unknown."
        ),
    )


def _vouched(target: Release, now: Schema, facts: Facts, allowed: Allowed) -> Compatibility | None:
    for word in allowed.vouched:
        if word.version != target.version:
            continue
        for release in facts.releases:
            if release.version == word.works_with_schema_of and release.schema_fingerprint == now.fingerprint:
                return Compatibility(
                    answer=Answer.YES,
                    evidence=msg(
                        "backout.yaml declares that {version} works with the schema of {other}.",
                        version=target.version,
                        other=release.version,
                    ),
                )
    return None


def _by_rule(target: Release, now: Schema, facts: Facts) -> Compatibility:
    # That a release was deployed on a schema proves nothing; that it was found good on it does.
    deployed_on = target.schema_fingerprint if target.state is ReleaseState.GOOD else None
    known = [f for f in (*target.served_well, deployed_on) if f is not None and f in facts.schemas]
    if not known:
        return Compatibility(
            answer=Answer.UNKNOWN,
            evidence=msg("No record says which schema {version} served well on.", version=target.version),
            remedy=msg(
                "Record releases as they are deployed (backout record), declare it under policy.compatible, "
                "or accept the risk by --accept schema-unknown."
            ),
        )
    judged = [
        (additive(found), found)
        for found in (differences(facts.schemas[f], now) for f in dict.fromkeys(known))
    ]
    rank = {Answer.YES: 0, Answer.UNKNOWN: 1, Answer.NO: 2}
    answer, found = min(judged, key=lambda pair: rank[pair[0]])
    listed = "; ".join(text for a, text in found if answer is Answer.YES or a is not Answer.YES)
    if answer is Answer.YES and not found:
        same = msg("This is exactly the schema that {version} was deployed with.", version=target.version)
        return Compatibility(answer=answer, evidence=same)
    if answer is Answer.YES:
        evidence = msg(
            "The schema differs from the one {version} served well on only by additions: {differences}.",
            version=target.version,
            differences=listed,
        )
        return Compatibility(answer=answer, evidence=evidence)
    if answer is Answer.NO:
        evidence = msg(
            "{version} cannot use this schema: {differences}.", version=target.version, differences=listed
        )
        return Compatibility(
            answer=answer,
            evidence=evidence,
            remedy=msg("The schema has to go back with the code: scenario full, or fix forward."),
        )
    return Compatibility(
        answer=answer,
        evidence=msg(
            "No rule proves that {version} can use this schema: {differences}.",
            version=target.version,
            differences=listed,
        ),
        remedy=msg(
            "Look at the differences; then declare it under policy.compatible, or accept by --accept schema-unknown."
        ),
    )
