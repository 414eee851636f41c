"""The release book: records and quarantines, in the journal, the state file, and at the target."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from backout.document import Json, canonical_json
from backout.errors import BackoutError
from backout.execute.journal import Journal
from backout.execute.store import Store
from backout.faults import fault_point
from backout.platforms.base import RecordStore
from backout.platforms.keeping import GroundsStore
from backout.release import Quarantine, Release, ReleaseState
from backout.schema import Schema


class ReleaseBook:
    """Writes and reads release records.

    A record is written to the journal and the state file in one transaction, then to the target. What the
    target knows and the state file does not (another machine recorded it, or the state file is new) is
    read from the target.

    Args:
        grounds: Keeps schemas and quarantines at the target; None: only the state file has them.
    """

    def __init__(
        self, store: Store, journal: Journal, target: RecordStore | None, grounds: GroundsStore | None = None
    ) -> None:
        self._store, self._journal, self._target, self._grounds = store, journal, target, grounds

    def record(self, release: Release, schema: Schema | None = None) -> None:
        """Add or replace (by id) a release. Idempotent."""

        def project(sql: Any) -> None:
            _put_release(sql, release)
            if schema is not None:
                _put_schema(sql, schema)

        self._journal.append("release.recorded", {"release": release.model_dump(mode="json")}, also=project)
        if schema is not None and self._grounds is not None:
            self._grounds.write_schema(schema)
        self._to_target(release)

    def newest(self, limit: int = 500) -> tuple[Release, ...]:
        """Return releases, newest first, the target's among them."""
        rows = self._store.rows("SELECT document FROM releases ORDER BY deployed_at DESC LIMIT ?", (limit,))
        here = {r.id: r for r in (Release.model_validate_json(str(row[0])) for row in rows)}
        for release in self._at_target():
            here.setdefault(release.id, release)
        return tuple(sorted(here.values(), key=lambda r: r.deployed_at, reverse=True)[:limit])

    def by_version(self, version: str) -> Release | None:
        """Return the newest release of a version, or None."""
        rows = self._store.rows(
            "SELECT document FROM releases WHERE version = ? ORDER BY deployed_at DESC LIMIT 1", (version,)
        )
        if rows:
            return Release.model_validate_json(str(rows[0][0]))
        return next((r for r in reversed(self._at_target()) if r.version == version), None)

    def schemas(self, fingerprints: set[str]) -> dict[str, Schema]:
        """Return the recorded schema documents of these fingerprints; what only the target has is kept here from now on."""
        found = {}
        for fingerprint in fingerprints:
            rows = self._store.rows("SELECT document FROM schemas WHERE fingerprint = ?", (fingerprint,))
            if rows:
                found[fingerprint] = Schema.model_validate_json(str(rows[0][0]))
        missing = fingerprints - set(found)
        if missing and self._grounds is not None:
            with suppress(BackoutError):  # Without them the answer is "unknown", which says so itself.
                found |= {schema.fingerprint: schema for schema in self._brought(missing)}
        return found

    def _brought(self, fingerprints: set[str]) -> tuple[Schema, ...]:
        assert self._grounds is not None
        brought = self._grounds.read_schemas(fingerprints)
        if brought:
            with suppress(BackoutError), self._store.writing() as sql:
                for schema in brought:
                    _put_schema(sql, schema)
        return brought

    def quarantined(self) -> tuple[Quarantine, ...]:
        """Return what is quarantined: as the target has it, where it keeps that and answers."""
        there = self._quarantined_there()
        return self._quarantined_here() if there is None else there

    def _quarantined_here(self) -> tuple[Quarantine, ...]:
        rows = self._store.rows("SELECT document FROM quarantined")
        return tuple(Quarantine.model_validate_json(str(r[0])) for r in rows)

    def _quarantined_there(self) -> tuple[Quarantine, ...] | None:
        if self._grounds is None:
            return None
        try:
            return self._grounds.read_quarantines()
        except BackoutError:
            return None

    def is_quarantined(self, version: str) -> bool:
        """Return whether a version is quarantined."""
        return any(q.version == version for q in self.quarantined())

    def quarantine_stands(self, version: str, *, quarantined: bool) -> bool:
        """Return whether the state file has it so, and the target's record of the version says the same."""
        for entries in (self._quarantined_here(), self._quarantined_there()):
            if entries is not None and any(q.version == version for q in entries) is not quarantined:
                return False
        release = self.by_version(version)
        if self._target is None or release is None:
            return True
        # A kill -9 between the two places leaves the target's record as it was: then it is not done.
        return any(r.id == release.id and r.state is release.state for r in self._at_target())

    def quarantine(self, entry: Quarantine, state: ReleaseState, run: str | None) -> None:
        """Quarantine a version and set the state of its newest release. Idempotent."""
        marked = self._in_state(entry.version, state)
        document = canonical_json(entry.model_dump(mode="json"))

        def project(sql: Any) -> None:
            sql.execute("INSERT OR REPLACE INTO quarantined VALUES (?, ?)", (entry.version, document))
            if marked is not None:
                _put_release(sql, marked)

        body: dict[str, Json] = {"version": entry.version, "reason": entry.reason, "state": state.value}
        event = self._journal.append("release.quarantined", body, run=run, also=project)
        if self._grounds is not None:  # Without secrets, as it is journalled.
            told = entry.model_copy(update={"reason": event.body["reason"]})
            self._grounds.write_quarantine(told)
        self._to_target(marked)

    def lift(self, version: str, state: ReleaseState | None, run: str | None) -> None:
        """End a quarantine and set the state of the newest release; None leaves it. Idempotent."""
        marked = self._in_state(version, state)

        def project(sql: Any) -> None:
            sql.execute("DELETE FROM quarantined WHERE version = ?", (version,))
            if marked is not None:
                _put_release(sql, marked)

        body: dict[str, Json] = {"version": version, "state": state.value if state else None}
        self._journal.append("release.lifted", body, run=run, also=project)
        if self._grounds is not None:
            self._grounds.lift_quarantine(version)
        self._to_target(marked)

    def _in_state(self, version: str, state: ReleaseState | None) -> Release | None:
        release = self.by_version(version)
        if release is None or state is None:
            return release
        return release.model_copy(update={"state": state})

    def _at_target(self) -> tuple[Release, ...]:
        if self._target is None:
            return ()
        try:
            return self._target.read_records()
        except (BackoutError, OSError):
            return ()  # The state file's own records are enough; `doctor` tells that the target's are not readable.

    def _to_target(self, release: Release | None) -> None:
        if self._target is not None and release is not None:
            fault_point("records.target.before")
            self._target.write_record(release)
            fault_point("records.target.after")


def _put_schema(sql: Any, schema: Schema) -> None:
    document = canonical_json(schema.model_dump(mode="json"))
    sql.execute("INSERT OR IGNORE INTO schemas VALUES (?, ?)", (schema.fingerprint, document))


def _put_release(sql: Any, release: Release) -> None:
    document = canonical_json(release.model_dump(mode="json"))
    sql.execute(
        "INSERT OR REPLACE INTO releases VALUES (?, ?, ?, ?)",
        (release.id, release.version, release.deployed_at.isoformat(), document),
    )
