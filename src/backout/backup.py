"""Backups as data: what one is, what is known of it, and how sure that is."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Literal

from backout.document import Document
from backout.message import Message

_DATED = re.compile(r"_(restored|prepared|before)_\d{8}_\d{6}$")


def stem(database: str) -> str:
    """Return a database's name without what backout put behind it: where names are not exchanged, such a one is live."""
    return _DATED.sub("", database)


class BackupFormat(StrEnum):
    """How the data of a backup is written."""

    DIRECTORY = "directory"
    """``pg_dump -Fd``: a folder with a table of contents and a file for each table."""
    CUSTOM = "custom"
    """``pg_dump -Fc``."""
    PLAIN = "plain"
    """SQL text."""
    PLAIN_GZIP = "plain gzip"
    """SQL text, compressed by gzip."""


class Manifest(Document):
    """What `backout backup create` writes beside the data.

    Attributes:
        taken_at: When the snapshot was taken, by the database server's clock.
        files: Relative name to ``sha256:…``; empty where backout did not write the data itself.
        server_version: As `server_version_num`: 150018.
        migration_head: ``tool:identity`` of the newest migration (`alembic:1975ea83b712`); null: no tool is known.
        schema_fingerprint: Of the schema in the same snapshot.
        release: The version that ran; null: it was not known.
        rows: Exact rows by table in the same snapshot where `rows_exact`, else the server's estimates.
        database_bytes: Size of the live database then (or of `tables`), indexes included.
        unpacked_bytes: Bytes of table data as dumped, before compression: the free space that a restore needs is told by it; null: not
            measured.
        tables: Tables (``schema.table``) whose rows alone are in it, for a way back of just these; empty: all rows are.
    """

    schema_version: Literal[1] = 1
    service: str
    environment: str
    database: str
    taken_at: datetime
    finished_at: datetime
    server_version: int
    dump_version: str
    format: BackupFormat
    files: dict[str, str]
    release: str | None = None
    migration_head: str | None = None
    schema_fingerprint: str | None = None
    rows: dict[str, int] = {}
    rows_exact: bool = False
    database_bytes: int | None = None
    unpacked_bytes: int | None = None
    tables: tuple[str, ...] = ()


class Backup(Document):
    """One backup as the store finds it, before anybody has read its data.

    Attributes:
        name: Unique in its store: the file's or folder's name.
        taken_at: When it was taken; null: nothing says so.
        taken_at_by: `manifest`, `name` (the time in it) or `file` (its modification time: a copy can change it).
        before_version: From a name like ``collector_pre_5.4.0.sql.gz``: taken before that version was deployed.
        identity: Changes when the data may have changed (sizes and modification times); not a checksum.
        by_backout: Whether backout made it: only those are rotated.
    """

    name: str
    path: str
    format: BackupFormat
    size_bytes: int
    taken_at: datetime | None = None
    taken_at_by: Literal["manifest", "name", "file"] | None = None
    before_version: str | None = None
    identity: str
    manifest: Manifest | None = None
    by_backout: bool = False

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables whose rows alone are in it; empty: it is of the whole database, as far as anything tells."""
        return self.manifest.tables if self.manifest is not None else ()

    @property
    def rows_in(self) -> tuple[str, ...]:
        """What a restore may take out of one that has the rows of some tables alone; empty: everything."""
        return tuple(sorted(self.manifest.rows)) if self.manifest is not None and self.manifest.tables else ()


class Reading(Document):
    """What reading a backup to its end told.

    Attributes:
        identity: The backup's identity when it was read.
        ok: Whether it can be restored as far as reading can tell.
        problems: Every reason why not, each naming the place; empty if (and only if) `ok`.
        database: The database's name as the dump tells it; null: it does not.
        server_major: Major version of the server that it was dumped from; null: it does not tell.
        tables: Tables whose data is in it, ``schema.table``.
        unpacked_bytes: Size of the SQL text, or of the table data, uncompressed; null: not measured.
        checksums: Whether every file was compared with the manifest's checksum.
        left_out: What a restore will skip, each with its first place, how often, and why.
    """

    backup: str
    identity: str
    ok: bool
    problems: tuple[Message, ...] = ()
    read_at: datetime
    seconds: float
    database: str | None = None
    server_major: int | None = None
    tables: tuple[str, ...] = ()
    unpacked_bytes: int | None = None
    checksums: bool = False
    left_out: tuple[Message, ...] = ()


class PastRestore(Document):
    """A restore beside the live database that a person asked for, and how long it took.

    Attributes:
        seconds: From its start until all was restored; checking it is not in them.
        size_bytes: Of the backup.
    """

    backup: str
    identity: str
    format: BackupFormat
    size_bytes: int
    at: datetime
    seconds: float


class RestoreOrder(Document):
    """Restore this backup into that new database; absolute, so that it can be carried out twice.

    Attributes:
        database: Name of the new database.
        live: Name of the live database, whose owner, encoding, collation, settings and rights it gets.
        server: ``host:port`` of the other server that it is restored on, for people; null: the configured address's.
        tables: Only these (``schema.table``); empty: everything.
        needed_bytes: Free space that is needed before the first byte; null: unknown, and accepted by name.
        space_path: A path on the database server's disk, if that disk is this machine's.
        min_free_bytes: Below this the restore is stopped and the new database dropped.
        max_bytes_per_s: Rate limit of what is read; null: none.
        max_replica_lag_bytes: Above this the restore waits; null: replicas are not looked at.
        max_wal_bytes: With more WAL than this on the server the restore is stopped and the new database dropped; null: it is not looked at.
    """

    backup: str
    path: str
    format: BackupFormat
    identity: str
    database: str
    live: str
    server: str | None = None
    jobs: int = 2
    tables: tuple[str, ...] = ()
    needed_bytes: int | None = None
    space_path: str | None = None
    min_free_bytes: int = 0
    max_bytes_per_s: int | None = None
    max_replica_lag_bytes: int | None = None
    max_wal_bytes: int | None = None


class BesideState(StrEnum):
    """How far a database that stands beside the live one is."""

    ABSENT = "absent"
    RESTORING = "restoring"
    CUT_SHORT = "cut short"
    """The restore began and nobody goes on with it: it is dropped and begun anew."""
    FAILED = "failed"
    RESTORED = "restored"
    KEPT = "kept"
    """It was live once and was swapped out: the way back of the way back."""


class BesideDatabase(Document):
    """A database of this service that stands beside the live one, as its comment and the server tell.

    Attributes:
        oid: The server's number for it; a name can be taken by another database, a number cannot.
        accepts: Whether it takes connections.
        backup: The backup it was made from; null for one that was swapped out.
        identity: That backup's identity.
        since: When it came to this state.
        run: The run that made it; null: made ahead (`backup restore --prepare`), or by hand.
        keep_until: When a kept one may be dropped; null: never by itself.
        swap_xid: Full id of the transaction that swapped it out: what has a later one was written after the swap.
        why: Why it failed.
        closes: A swap with it was cut short, and nobody can connect to this live database until it goes on or is let go.
        server: ``host:port`` where it is on another server than the configured address names; null: on that one.
        stops_writes: A switch to it was cut short, and nobody can write into this live database until then.
    """

    name: str
    oid: int
    state: BesideState
    accepts: bool = True
    size_bytes: int | None = None
    backup: str | None = None
    identity: str | None = None
    since: datetime | None = None
    run: str | None = None
    keep_until: datetime | None = None
    swap_xid: int | None = None
    why: str | None = None
    closes: str | None = None
    server: str | None = None
    stops_writes: str | None = None


class SwapOrder(Document):
    """Make `beside` the live database and keep the live one as `kept`; absolute.

    A switch makes the service use `beside` under its own name: `kept` is then the name that `live` has, and keeps.

    Attributes:
        live_oid: The number of the database that is live before and `kept` afterwards; null: whichever is live.
        beside_oid: The number of the database that is live afterwards; null: that of the name `beside`. One of the
            two is always given: it tells whether the swap was made already.
        keep_until: When the kept one may be dropped.
        accept_slots: Logical slots and subscriptions that a person named: they end with the swap.
        advance_sequences: Whether sequences of the new live database are set to the larger of both values.
    """

    live: str
    live_oid: int | None
    beside: str
    beside_oid: int | None = None
    kept: str
    keep_until: datetime | None = None
    accept_slots: tuple[str, ...] = ()
    advance_sequences: bool = True


class TableCount(Document):
    """Rows of one table on both sides.

    Attributes:
        live: Rows in the live database; null: the table is not there.
        restored: Rows in the restored one; null: not there, or not known yet.
        live_exact: Whether `live` was counted, not estimated.
    """

    table: str
    live: int | None
    restored: int | None
    live_exact: bool = True
    restored_exact: bool = True


class TableDifference(Document):
    """What a kept database has of one table that the live one does not have, and the other way round.

    Attributes:
        key: Columns that rows are compared by; empty: the table has no key, and equal rows are counted.
        inserted: Rows that only the kept one has: written since the backup.
        updated: Rows of one key that differ.
        deleted: Rows that only the live one has, and that were not written after the swap: deleted since the backup.
        after_swap: Rows of the live one that were written after the swap: left out of the three numbers.
        rows: Rows that the kept one has; null: they were not counted.
        examples: Up to a few keys by what happened (`inserted`, `updated`, `deleted`), as text.
        only_kept_columns: Columns that only the kept one has; their values are not compared.
        only_live_columns: Columns that only the live one has.
        only_in: The database that has the table, where the other one does not.
        unknown: Why the rows could not be compared; the numbers then mean nothing. Null: they were.
    """

    table: str
    key: tuple[str, ...] = ()
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    after_swap: int = 0
    rows: int | None = None
    examples: dict[str, tuple[str, ...]] = {}
    only_kept_columns: tuple[str, ...] = ()
    only_live_columns: tuple[str, ...] = ()
    only_in: Literal["kept", "live"] | None = None
    unknown: Message | None = None


class Brought(Document):
    """What bringing rows over did, or (`dry_run`) would do.

    Attributes:
        inserted: Rows that are in the live one now.
        equal: Rows that were there already.
        conflicts: Rows that were not brought, each with key and reason: another row of that key or unique value, a
            missing parent, a check that refuses it.
    """

    table: str
    dry_run: bool
    inserted: int
    updated: int = 0
    equal: int = 0
    conflicts: tuple[Message, ...] = ()
