"""Migrations that backout ran, as data: what is in a database's journal, and what was done with it."""

from __future__ import annotations

from datetime import datetime

from backout.document import Document


class MigrationRecord(Document):
    """One command that was run through `backout migrate`.

    Attributes:
        id: Grows with time; what `db` verbs call it.
        release: Version it belongs to, where it was told.
        command: What was run, without secrets.
        state: `running`, `applied`, `failed` (what it had committed stays), `undone` or `finalized`.
        started_at: UTC.
        ended_at: UTC; None: it runs, or its end was never journalled.
        changes: What it changed, one sentence fragment for each, in order.
    """

    id: int
    release: str | None
    command: str
    state: str
    started_at: datetime
    ended_at: datetime | None
    changes: tuple[str, ...] = ()


class MigrationHistory(Document):
    """Every migration in a database's journal, oldest first; empty: there is no journal.

    Attributes:
        database: Its name.
        migrations: Oldest first.
    """

    database: str
    migrations: tuple[MigrationRecord, ...]


class Unfinished(Document):
    """Something that was to be done after the switch, and did not succeed.

    Attributes:
        statement: What it was.
        why: What PostgreSQL said.
    """

    statement: str
    why: str


class WayTaken(Document):
    """A way back, or forward again.

    Attributes:
        direction: `back` or `forward`.
        migrations: Their numbers, in the order in which they were worked on.
        dry_run: All was rolled back.
        seconds: How long the locks were held.
        statements: What was run in the one transaction.
        later: Of a dry run, what would be run after it: it takes longer and blocks nobody.
        unfinished: What of that failed.
        residues: What stays visible, since PostgreSQL cannot take it away.
    """

    direction: str
    migrations: tuple[int, ...]
    dry_run: bool
    seconds: float
    statements: tuple[str, ...]
    later: tuple[str, ...]
    unfinished: tuple[Unfinished, ...] = ()
    residues: tuple[str, ...] = ()


class Finished(Document):
    """What was still to be done after a migration or a way back.

    Attributes:
        done: Statements that were run.
        unfinished: Those that failed.
    """

    done: tuple[str, ...]
    unfinished: tuple[Unfinished, ...] = ()


class Migrated(Document):
    """A command that ran through `backout migrate`.

    Attributes:
        migration: Its number in the journal; None: it changed nothing that backout keeps.
        exit_status: The command's own.
        connections: How many sessions came through the proxy.
        changes: What can be taken back.
        unseen: The schema changed, and not through the proxy.
        failures: What went wrong within the proxy.
        unfinished: What was to be built after the migration, and failed.
    """

    migration: int | None
    exit_status: int
    connections: int
    changes: tuple[str, ...]
    unseen: bool = False
    failures: tuple[str, ...] = ()
    unfinished: tuple[Unfinished, ...] = ()
