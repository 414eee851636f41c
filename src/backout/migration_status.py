"""How migrations stand at this moment, as data: whether the way back would work, and who keeps everybody waiting."""

from __future__ import annotations

from datetime import datetime

from backout.document import Document
from backout.migration import HiddenThing, MigrationRecord


class RowsSince(Document):
    """Rows written since a migration that its way back has something to do with.

    Attributes:
        kind: `filled`: they have no value, and get one. `converted`: their value becomes one of the earlier type.
            `unfit`: the earlier type cannot hold their value: they get `value`, and theirs is kept, hidden.
            `null`: they would have NULL where that must not be. `unique`:
            they may be equal in a unique index. `orphans`: they have no partner for a foreign key that comes back.
            `violators`: they do not meet a CHECK that comes back, and earlier code could not change them.
            `repaired`: they do not either, and get `value`. `aside`: they do not either, and are set aside. `referred`: they would be,
            and others refer to them.
            `twice`: they have a value more than once that a key which comes back allows once.
            `brought`: they were written to `value`, and come back to the dropped table that it was built from, or go from it.
            `beside`: all rows, which get their value from a table beside; about so many, and nobody else can use theirs meanwhile.
            `placed`: the files of `what` are written anew, while nobody else can use it.
            `excluded`: an exclusion constraint is built again while nobody else can use its table.
            `needed`: no rows, but `value` needs a function that has to be dropped.
            `apart`: it comes back as it was dropped, and they, also earlier rows that were changed, are in `value` alone.
        what: The column, or the constraint.
        rows: How many; None: unknown.
        value: What they get: an SQL expression. Of `violators` and `twice`: a statement that shows them. Of `apart`: what was made before and is hidden with what is in it. Of `brought`: the other table.
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


class RedoOutlook(Document):
    """Whether what was taken back could be made again now.

    Attributes:
        migrations: Those that `redo` would make again, oldest first.
        possible: `yes`, `no` or `unknown`: yes means that all is as the journal says; the rest only trying tells.
        why: Reasons for `no` or `unknown`.
        not_again: What they did to earlier rows, and would not be done to those written since.
    """

    migrations: tuple[Outlook, ...]
    possible: str
    why: tuple[str, ...] = ()
    not_again: tuple[str, ...] = ()


class MigrationStatus(Document):
    """Whether the newest migrations could be taken back now, and what backout keeps in the database.

    Attributes:
        database: Its name.
        standby: The server is one, and cannot be written.
        possible: `yes`, `no` or `unknown`: whether the way back would be gone now.
        why: Reasons for `no` or `unknown`.
        migrations: Those that would be taken back, oldest first.
        redo: What could be made again; None: no migration was taken back.
        rows: Rows written since.
        over_budget: What of the way back would hold its locks for longer than the lock budget, as it cannot be done before.
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
    redo: RedoOutlook | None = None
    rows: tuple[RowsSince, ...] = ()
    over_budget: tuple[str, ...] = ()
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
