"""The world as observed: every fact has a source, a time, and may be unknown for a reason."""

from __future__ import annotations

from datetime import datetime

from backout.backup import Backup, BesideDatabase, PastRestore, Reading
from backout.document import Document
from backout.message import Message
from backout.migration_status import BlockedSession
from backout.migration_way import MigrationsBack
from backout.observed import HoldFact, Observed, OfferedImage, SecretChange, Workload
from backout.release import Artefact, Quarantine, Release
from backout.revision import Between, Source
from backout.schema import Schema


class DataFacts(Document):
    """What a way back of the data rests on.

    Attributes:
        database: Name of the live database.
        oid: The server's number for it.
        servers: ``host:port`` by name, of the live database and those beside it that are on another server than the address names.
        restores_on: ``host:port`` of that server, where backups are restored on it; null: it is the address's.
        accepts: Whether it takes connections: a swap that was cut short may have closed it.
        may_create: Whether our role may create a database beside it.
        server_major: The server's major version.
        backups: Newest first.
        readings: What reading a backup to its end told, by its name; only where its data is still what was read.
        restored: Restores that were asked for by hand, newest first.
        beside: Databases that stand beside the live one.
        rows: The server's estimates by table.
        free_bytes: Free space on the database's disk; null: it cannot be told.
        blockers: What would keep a swap from being made now.
        slots: Logical slots and subscriptions of the live database: they would stay with the old one.
        unfit: Why tables that were asked for cannot go back alone, each with its name.
        tenants: Tenants in the live database; null: no column is declared.
    """

    database: str
    oid: int
    servers: dict[str, str] = {}
    restores_on: str | None = None
    accepts: bool
    may_create: bool
    server_major: int
    backups: tuple[Backup, ...] = ()
    readings: dict[str, Reading] = {}
    restored: tuple[PastRestore, ...] = ()
    beside: tuple[BesideDatabase, ...] = ()
    rows: dict[str, int] = {}
    free_bytes: int | None = None
    blockers: tuple[Message, ...] = ()
    slots: tuple[str, ...] = ()
    unfit: tuple[Message, ...] = ()
    tenants: Observed[int] | None = None


class Facts(Document):
    """Everything an assessment may look at; frozen, so that it replays from a bug report.

    Attributes:
        workload: What runs.
        available: Artefacts that the platform can still run, newest first.
        schema_now: The database's schema; null value where no database is configured.
        releases: Known releases, newest first (records, then what platform and git told).
        schemas: Schema documents by fingerprint, as far as they were recorded.
        quarantined: Versions that must not come back by accident.
        records_at_target: Whether release records are kept at the target too, not in one state file alone.
        step_seconds: Measured durations of earlier confirmed steps, by step kind.
        data: Backups and what a restore needs; null where no backups are configured, or nobody asked for them.
        offered: The image that was named instead of a release; null: none was.
        secrets: Secrets that are others now than the target had.
        waiting: Sessions of the database that wait for locks, each root before those behind it; null: nobody could tell.
        source: How the target would be brought, where there is more than one way; null: there is one.
        between: What lies between what runs and the target, as git has it; null: nobody asked, or there is no repository.
        migrations: Those that came after the target, and their way back; null: there are none, or nobody asked.
    """

    observed_at: datetime
    service: str
    environment: str
    platform: str
    workload: Observed[Workload]
    available: Observed[tuple[Artefact, ...]]
    schema_now: Observed[Schema]
    holds: tuple[HoldFact, ...] = ()
    releases: tuple[Release, ...] = ()
    schemas: dict[str, Schema] = {}
    quarantined: tuple[Quarantine, ...] = ()
    records_at_target: bool = True
    step_seconds: dict[str, tuple[float, ...]] = {}
    data: Observed[DataFacts] | None = None
    offered: OfferedImage | None = None
    secrets: tuple[SecretChange, ...] = ()
    waiting: tuple[BlockedSession, ...] | None = None
    source: Source | None = None
    between: Observed[Between] | None = None
    migrations: Observed[MigrationsBack] | None = None
