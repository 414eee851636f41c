"""A service with backups, as facts: releases, backups with and without a manifest, databases beside the live one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from backout.backup import Backup, BackupFormat, BesideDatabase, BesideState, Manifest, Reading
from backout.facts import DataFacts, Facts
from backout.message import msg
from backout.observed import HoldFact, Observed, Workload
from backout.release import Artefact, Quarantine, Release, ReleaseState
from backout.schema import Column, Schema, Table

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def schema(*columns: str) -> Schema:
    """Return a schema of one table."""
    return Schema(
        tables={
            "public.t": Table(kind="table", columns={c: Column(type="text", nullable=True) for c in columns})
        }
    )


OLD, NEW = schema("a"), schema("a", "b")
SCHEMAS = {s.fingerprint: s for s in (OLD, NEW)}


def hours(ago: float) -> datetime:
    """Return the moment so many hours ago."""
    return NOW - timedelta(hours=ago)


def release(version: str, ago: float, on: Schema | None = None, **changes: Any) -> Release:
    """Return a recorded release, deployed so many hours ago, good on its schema."""
    values: dict[str, Any] = {
        "id": f"rel-{version}-{ago}",
        "service": "shop",
        "environment": "production",
        "version": version,
        "deployed_at": hours(ago),
        "artefact": Artefact(ref=version),
        "schema_fingerprint": on.fingerprint if on else None,
        "served_well": (on.fingerprint,) if on else (),
        "state": ReleaseState.GOOD,
    }
    return Release.model_validate(values | changes)


def backup(name: str, ago: float | None, on: Schema | None = None, **changes: Any) -> Backup:
    """Return a backup; with a manifest where `on` or a key of `Manifest` is given."""
    said = {k: changes.pop(k) for k in tuple(changes) if k in Manifest.model_fields and k != "format"}
    taken_at = hours(ago) if ago is not None else None
    manifest = None
    if on is not None or said:
        manifest = Manifest.model_validate(
            {
                "service": "shop",
                "environment": "production",
                "database": "shop",
                "taken_at": taken_at,
                "finished_at": taken_at,
                "server_version": 160004,
                "dump_version": "16.4",
                "format": "directory",
                "files": {},
                "schema_fingerprint": on.fingerprint if on else None,
            }
            | said
        )
    values: dict[str, Any] = {
        "name": name,
        "path": f"/backups/{name}",
        "format": BackupFormat.DIRECTORY,
        "size_bytes": 1_000_000,
        "taken_at": taken_at,
        "taken_at_by": None if taken_at is None else "manifest" if manifest else "name",
        "identity": f"{name}:1",
        "manifest": manifest,
        "by_backout": manifest is not None,
    }
    return Backup.model_validate(values | changes)


def reading(of: Backup, *problems: str, **changes: Any) -> Reading:
    """Return what reading it told; good without problems."""
    values: dict[str, Any] = {
        "backup": of.name,
        "identity": of.identity,
        "ok": not problems,
        "problems": tuple(msg(p) for p in problems),
        "read_at": NOW,
        "seconds": 1.0,
    }
    return Reading.model_validate(values | changes)


def beside(name: str, of: Backup, **changes: Any) -> BesideDatabase:
    """Return a database that stands restored from a backup."""
    values: dict[str, Any] = {
        "name": name,
        "oid": 77,
        "state": BesideState.RESTORED,
        "backup": of.name,
        "identity": of.identity,
        "since": hours(1),
    }
    return BesideDatabase.model_validate(values | changes)


def data_facts(*backups: Backup, **changes: Any) -> DataFacts:
    """Return what a restore rests on, with space enough."""
    values: dict[str, Any] = {
        "database": "shop",
        "oid": 7,
        "accepts": True,
        "may_create": True,
        "server_major": 16,
        "backups": backups,
        "readings": {b.name: reading(b, unpacked_bytes=1_000_000) for b in backups},
        "free_bytes": 10**12,
    }
    return DataFacts.model_validate(values | changes)


def facts(
    *releases: Release,
    data: DataFacts | None,
    current: str | None = None,
    schema_now: Schema | None = NEW,
    bad: str | None = None,
    holds: tuple[HoldFact, ...] = (),
) -> Facts:
    """Return the facts of a service of which `current` (else the newest release) runs."""
    running = current or releases[0].version
    quarantine = Quarantine(version=bad, reason="errors", since=hours(0.5)) if bad else None
    return Facts(
        observed_at=NOW,
        service="shop",
        environment="production",
        platform="process",
        workload=Observed[Workload](
            value=Workload(wanted=Artefact(ref=running), running=(Artefact(ref=running),), up=1),
            source="t",
            observed_at=NOW,
        ),
        available=Observed[tuple[Artefact, ...]](
            value=tuple(Artefact(ref=r.version) for r in releases), source="t", observed_at=NOW
        ),
        schema_now=Observed[Schema](value=schema_now, source="t", observed_at=NOW),
        holds=holds,
        releases=releases,
        schemas=SCHEMAS,
        quarantined=(quarantine,) if quarantine else (),
        data=None if data is None else Observed[DataFacts](value=data, source="t", observed_at=NOW),
    )
