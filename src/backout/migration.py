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


class KeptValue(Document):
    """Something in a row that stays as it is, as somebody has written it since; also in the table `backout.row_kept`.

    Attributes:
        table: Schema and name.
        key: The row: values of its key, or all of its values where the table has none.
        column: None: the whole row.
        kept: What stands there.
        wanted: What would stand there.
        why: The reason.
    """

    table: str
    key: tuple[str | None, ...]
    column: str | None
    kept: str | None
    wanted: str | None
    why: str


class RowsTaken(Document):
    """What was done to rows that the migrations themselves had changed.

    Attributes:
        updated: Rows whose columns were set.
        deleted: Rows taken away.
        inserted: Rows put back.
        kept_count: How much stays as somebody has written it since.
        kept: The first of that.
    """

    updated: int
    deleted: int
    inserted: int
    kept_count: int
    kept: tuple[KeptValue, ...] = ()


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
        rows: What was done to rows that the migrations had changed; None: they had changed none.
    """

    direction: str
    migrations: tuple[int, ...]
    dry_run: bool
    seconds: float
    statements: tuple[str, ...]
    later: tuple[str, ...]
    unfinished: tuple[Unfinished, ...] = ()
    residues: tuple[str, ...] = ()
    rows: RowsTaken | None = None


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


class HiddenThing(Document):
    """Something that backout keeps hidden in the database.

    Attributes:
        migration: Number of the migration that dropped it, or whose way back took it away.
        kind: `column`, `table`, `type`, `index` or `schema`.
        called: What it was called.
        name: What it is called now.
        size_bytes: Of its files: of a table, of an index, of the indexes that go with a column.
        estimated_bytes: Of a column's values, by the statistics of the last ANALYZE; None: the table never had one.
    """

    migration: int
    kind: str
    called: str
    name: str
    size_bytes: int
    estimated_bytes: int | None


class Finalized(Document):
    """Hidden things that were really dropped.

    Attributes:
        database: Its name.
        migrations: Their numbers, oldest first; empty: there was nothing to do.
        dry_run: All was rolled back.
        seconds: How long the locks were held.
        dropped: What was hidden.
        rows: How many images of rows that the migrations had changed were deleted from the journal.
        freed_bytes: What the file system has back. The values of columns are not in it: PostgreSQL keeps them in the
            table's pages until their rows are written anew.
        statements: What was run in the one transaction.
    """

    database: str
    migrations: tuple[int, ...]
    dry_run: bool
    seconds: float
    dropped: tuple[HiddenThing, ...]
    rows: int
    freed_bytes: int
    statements: tuple[str, ...]


class Uninstalled(Document):
    """A database that backout has left.

    Attributes:
        database: Its name.
        migrations: How many the journal told of.
        statements: What was run; empty: nothing of backout was there.
    """

    database: str
    migrations: int
    statements: tuple[str, ...]


class RowsSince(Document):
    """Rows written since a migration that its way back has something to do with.

    Attributes:
        kind: `filled`: they have no value, and get one. `null`: they would have NULL where that must not be. `unique`:
            they may be equal in a unique index. `orphans`: they have no partner for a foreign key that comes back.
        what: The column, or the foreign key.
        rows: How many; None: unknown.
        value: What they get: an SQL expression.
        why: Why it is unknown.
        stops: The way back would be refused; else the constraint comes back for new rows and stays unproven.
    """

    kind: str
    what: str
    rows: int | None
    value: str | None = None
    why: str | None = None
    stops: bool


class LockHolder(Document):
    """A session that uses a table which the way back needs for itself.

    Attributes:
        pid: Its process on the server.
        who: Role, program and address.
        seconds: How long its transaction is open.
        query: What it runs, or ran last.
        table: Which.
    """

    pid: int
    who: str
    seconds: float
    query: str
    table: str


class RunningMigration(Document):
    """A migration, or a way back, that runs now.

    Attributes:
        pid: The server process that holds the migration lock.
        migration: Its number; None: it is no migration, but another verb of `backout db`.
        command: What was run.
        started_at: UTC.
    """

    pid: int
    migration: int | None
    command: str | None
    started_at: datetime | None


class Outlook(Document):
    """A migration that would be taken back.

    Attributes:
        id: Its number.
        release: Version it belongs to.
        state: As in `MigrationRecord`.
        since: When it came into that state; UTC.
        age_s: Seconds since then, by the server's clock: its window.
    """

    id: int
    release: str | None
    state: str
    since: datetime
    age_s: float


class MigrationStatus(Document):
    """Whether the newest migrations could be taken back now, and what backout keeps in the database.

    Attributes:
        database: Its name.
        standby: The server is one, and cannot be written.
        possible: `yes`, `no` or `unknown`: whether the way back would be gone now.
        why: Reasons for `no` or `unknown`.
        migrations: Those that would be taken back, oldest first.
        rows: Rows written since.
        holders: Who uses the tables now.
        running: What runs now.
        hidden: Everything that is hidden.
        hidden_bytes: What it takes, partly estimated; None: unknown.
        log_bytes: What the log of changed rows takes; None: unknown.
        due: What is still to be run after an earlier way.
        seconds: How long it took to find out.
    """

    database: str
    standby: bool
    possible: str
    why: tuple[str, ...] = ()
    migrations: tuple[Outlook, ...] = ()
    rows: tuple[RowsSince, ...] = ()
    holders: tuple[LockHolder, ...] = ()
    running: RunningMigration | None = None
    hidden: tuple[HiddenThing, ...] = ()
    hidden_bytes: int | None = None
    log_bytes: int | None = None
    due: tuple[str, ...] = ()
    seconds: float = 0


class BlockedSession(Document):
    """A session that waits for a lock, or keeps others waiting.

    Attributes:
        pid: Its process on the server; 0: a prepared transaction.
        kind: `session`, `superuser` (a superuser's) or `prepared`.
        depth: 0: it waits for nobody, and is a root.
        blocked_by: The processes that it waits for.
        began: When the session began, as the server prints it; None: unknown.
        seconds: How long its transaction is open.
        state: `active`, `idle in transaction`, …; None: this role may not see it.
        query: What it runs, or ran last.
        role: Whose it is.
        application: Its name for itself.
        client: Address; None: the same machine, or unknown.
        endable: Whether this role may end it.
    """

    pid: int
    kind: str
    depth: int
    blocked_by: tuple[int, ...]
    began: str | None
    seconds: float
    state: str | None
    query: str | None
    role: str | None
    application: str | None
    client: str | None
    endable: bool


class Blockers(Document):
    """Who waits for locks in a database, and who is to blame.

    Attributes:
        database: Its name.
        sessions: Each root before those behind it; empty: nobody waits.
        ended: Processes of roots that were ended.
        kept: Of the others, and why.
        migrations: What the journal tells of migrations that ran meanwhile; what each has committed stays.
    """

    database: str
    sessions: tuple[BlockedSession, ...]
    ended: tuple[int, ...] = ()
    kept: dict[int, str] = {}
    migrations: tuple[MigrationRecord, ...] = ()
