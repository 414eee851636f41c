"""Targets of generic steps: the world for the guard, and the checks for the proof."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from backout.app.back import brought_back
from backout.app.evidence import Evidence
from backout.app.parts import Parts
from backout.app.service import RunningService
from backout.checks.base import CheckResult, Outcome, Subject, Verification
from backout.checks.run import run_checks
from backout.checks.verdict import add_up
from backout.databases.restores import Restorable, Switchable
from backout.errors import BackoutError, UnknownVersion
from backout.message import msg
from backout.release import Artefact, Release, ReleaseState

_LOOK_S = 5.0
_NAMED = 5


class Standing:
    """What stands now, for the guard."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def standing(self, names: Collection[str], ref: str) -> dict[str, str | None]:
        """Return of the wanted artefact's name, the schema's fingerprint and the content of `ref` what is asked for."""
        looks: dict[str, Callable[[], str | None]] = {
            "wanted": self._wanted,
            "schema": self._schema,
            "content": partial(self._content, ref),
        }
        return {name: looks[name]() for name in names}

    def _wanted(self) -> str | None:
        platform = self._parts.platform
        wanted = platform.observe(5.0).wanted if platform.observable() else None
        return wanted.ref if wanted else None

    def _schema(self) -> str | None:
        database = self._parts.database
        return database.schema(5.0).fingerprint if database else None

    def _content(self, ref: str) -> str | None:
        if self._parts.emergency:
            return None
        try:
            return self._parts.platform.identify(ref).digest
        except UnknownVersion:
            return None  # It was there when the plan was made: gone is changed.


class Checks:
    """Runs the declared checks; what serves well is written on its record."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def verify(self, version: str, ref: str, digest: str | None, deadline_s: float) -> Verification:
        """Return what the checks say of a release, and note it on the release's record when all is well."""
        parts = self._parts
        record = parts.book.by_version(version)
        back = brought_back(parts, version)
        subject = Subject(
            platform=parts.platform,
            database=None if parts.emergency else parts.database,
            clock=parts.clock,
            redactor=parts.site.redactor,
            artefact=Artefact(ref=ref, digest=digest),
            version=version,
            normal=record.baseline if record else None,
            changed_at=back.at or (record.deployed_at if record else parts.clock.now()),
            release_deployed_at=back.bad.deployed_at if back.bad else None,
            earlier=back.earlier,
        )
        found = _less_what_was_left_out(parts, run_checks(parts.checks, subject, deadline_s))
        found = _with_who_was_left_behind(parts, found)
        if found.outcome is Outcome.PASS and record is not None:
            parts.book.record(served_well(parts, record, found))
        return found


def _less_what_was_left_out(parts: Parts, found: Verification) -> Verification:
    """Return the verification, which proves nothing of the database where an emergency left it out.

    Hazard: a hold of an earlier run may still make the database refuse writes; nobody looked.
    """
    if "database" not in parts.left_out:
        return found
    unseen = CheckResult(
        name="database",
        proves="database",
        outcome=Outcome.INCONCLUSIVE,
        evidence=msg("Not looked at in an emergency: it may still be held"),
        more=msg("`backout verify` looks; if it is still held: `backout release-hold`"),
    )
    results = (*found.results, unseen)
    return found.model_copy(update={"results": results, "outcome": add_up(r.outcome for r in results)})


def _with_who_was_left_behind(parts: Parts, found: Verification) -> Verification:
    """Return the verification, which proves nothing of the database while clients are in one that is kept after a switch."""
    database: object = parts.database
    if parts.switch is None or not isinstance(database, Switchable):
        return found
    sessions = database.left_behind(_LOOK_S)
    if not sessions:
        return found
    stale = CheckResult(
        name="database",
        proves="database",
        outcome=Outcome.INCONCLUSIVE,  # They may be people who only look.
        evidence=msg(
            "Clients are in a database that is kept, and can write nothing there: {sessions}",
            sessions="; ".join(sessions[:_NAMED]),
        ),
        more=msg("Restart what was not told of the switch; then `backout verify`"),
    )
    results = (*found.results, stale)
    return found.model_copy(update={"results": results, "outcome": add_up(r.outcome for r in results)})


def served_well(parts: Parts, record: Release, found: Verification) -> Release:
    """Return the record with what the checks proved: good, on which schema, and after which migrations."""
    fingerprint = current_fingerprint(parts)
    seen = record.served_well
    return record.model_copy(
        update={
            "state": ReleaseState.GOOD,
            "served_well": seen if fingerprint is None or fingerprint in seen else (*seen, fingerprint),
            "migration_heads": heads_seen(parts, record),
            "baseline": record.baseline or found.baseline,
        }
    )


def current_fingerprint(parts: Parts) -> str | None:
    """Return the schema's fingerprint, or None if there is no database or it does not answer."""
    if parts.database is None or parts.emergency:
        return None
    try:
        return parts.database.schema(5.0).fingerprint
    except BackoutError:
        return None


def heads_seen(parts: Parts, release: Release) -> tuple[str, ...]:
    """Return where the migrations stood while a release was the newest, and where they stand now if it still is.

    Once a later one was recorded, what stands there may be that one's migration, which is perhaps the damage.
    """
    database: object = parts.database
    seen = release.migration_heads
    later = any(r.deployed_at > release.deployed_at for r in parts.book.newest())
    if later or parts.emergency or not isinstance(database, Restorable):
        return seen
    try:
        head = database.migration_head(5.0)
    except BackoutError:
        return seen
    return seen if head is None or head in seen else (*seen, head)


def targets(parts: Parts) -> dict[str, object]:
    """Return every live target by the name that plans use."""
    found: dict[str, object] = {
        "platform": parts.platform,
        "world": Standing(parts),
        "checks": Checks(parts),
        "records": parts.book,
        "canary": parts.canaries,
        "service": RunningService(parts),
        "evidence": Evidence(
            {"platform": parts.platform, "database": parts.database},
            parts.state_directory,
            parts.site.redactor,
            parts.clock,
        ),
    }
    if parts.router is not None:
        found["router"] = parts.router
    if parts.database is not None:
        found["database"] = parts.database
    if parts.restore.command is not None:
        from backout.restores.command import OwnScript

        found["restore"] = OwnScript(parts.restore.command, parts.site)
    if parts.switch is not None:
        found["switch"] = parts.switch
    if parts.backups is not None:
        from backout.app.readings import Readings
        from backout.app.safety import SafetyBackups

        found["backups"] = Readings(parts)
        found["safety"] = SafetyBackups(parts)
    return found | {f"hold:{means.name}": means for means in parts.holds}
