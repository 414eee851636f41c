"""Migrations that backout ran, as data: what is in a database's journal, and what was done with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from backout.document import Document

WINDOW_H = 72
"""For how many hours a migration is kept so that it can be taken back, unless somebody says otherwise."""
ANSWER = r"(fill|back|keep|repair|quarantine)\s+([^\s=]+)(?:\s*=\s*(\S.*?))?"
"""What nobody can compute, as it is told; see `answers_in`."""
LOCK_BUDGET_MS = 100
"""For how long a way may hold its locks, unless somebody says otherwise: what is estimated to take longer is done before, where that can be."""
_ANSWERS = "fill, back or repair TABLE.COLUMN = EXPR, keep TABLE = side-table, or quarantine TABLE"
HIDE, SIDE_TABLE = "hide", "side-table"
KEEPS = (HIDE, SIDE_TABLE)
"""How a dropped column is kept: under another name at its place, or its values in a table beside."""


def answers_in(told: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Return answers by ``table.column``; all but those of `fill` have their word before it.

    Args:
        told: The word, the column (of `keep` and `quarantine` the table) and the expression (of that: empty) of each. `fill`: what
            rows without a value get. `back`: the value that a column had earlier. `repair`: what a row gets that violates
            a constraint which comes back. `quarantine`: such rows are set aside. `keep`: how dropped columns are kept.
    """
    found = {}
    for word, place, expression in told:
        name = word.lower()
        found[place if name == "fill" else f"{name} {place}"] = expression
    return found


def is_answer(told: tuple[str, str, str]) -> bool:
    """Tell whether three parts are an answer: only `quarantine` has no expression."""
    return bool(told[2]) is (told[0].lower() != "quarantine")


def answer_of(line: str) -> tuple[str, str, str]:
    """Return the three parts of an answer, of which the last may be empty.

    Args:
        line: As a comment in a statement has it after ``-- backout:``.

    Raises:
        ValueError: It is none.
    """
    found = re.fullmatch(rf"\s*{ANSWER}\s*;*\s*", line, re.IGNORECASE)
    parts = (found[1], found[2].rstrip(";"), found[3] or "") if found is not None else ("", "", "")
    if not is_answer(parts) or not parts[1]:
        raise ValueError(f"expected {_ANSWERS}")
    return parts


class MigrationRecord(Document):
    """One command that was run through `backout migrate`.

    Attributes:
        id: Grows with time; what `db` verbs call it.
        release: Version it belongs to, where it was told.
        command: What was run, without secrets.
        state: `running`, `applied`, `failed` (what it had committed stays), `undone`, `finalized`, `discarded`, or `observed`
            (it ran as it was; `changes` are what backout would have kept or refused, and it cannot be taken back).
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
        residues: What is not as it was before, for people.
        rows: What was done to rows that the migrations had changed; None: they had changed none.
        schema_same: Whether the schema is the one that stood before the migrations, or that they had left, by its fingerprint;
            None: unknown, as somebody else changed it too, as something stays (`residues`), as not all was done, or as the database
            did not answer any more.
        over_budget: Of a dry run: what would hold the locks for longer than the lock budget, and cannot be done before.
        whole_same: As `schema_same`, of what an application cannot notice, too: owners, privileges, comments, storage, publications.
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
    schema_same: bool | None = None
    whole_same: bool | None = None
    over_budget: tuple[str, ...] = ()


class Finished(Document):
    """What was still to be done after a migration or a way back.

    Attributes:
        done: Statements that were run.
        unfinished: Those that failed.
    """

    done: tuple[str, ...]
    unfinished: tuple[Unfinished, ...] = ()


class WouldRefuse(Document):
    """Something that backout would have refused, had it not been told only to observe.

    Attributes:
        what: What it would have said, naming the subject.
        why: The reason.
        answer: What it would have asked for; None: no answer helps.
    """

    what: str
    why: str
    answer: str | None = None


class Migrated(Document):
    """A command that ran through `backout migrate`.

    Attributes:
        migration: Its number in the journal; None: it changed nothing that backout keeps.
        exit_status: The command's own.
        connections: How many sessions came through the proxy.
        changes: What can be taken back; in the mode `observe`: what could have been.
        unseen: The schema, or the history of a migration tool, changed, and not through the proxy.
        failures: What went wrong within the proxy.
        unfinished: What was to be built after the migration, and failed.
        mode: `on`; `observe`: nothing was rewritten, and nothing of it can be taken back; or `off`: the command ran
            directly, and nothing is known of what it did.
        uncaught: Hidden columns, with what an INSERT or COPY that names no columns puts there unnoticed: `value` or `NULL`.
        refused: In the mode `observe`: what would have been refused, each with its whole transaction.
    """

    migration: int | None
    exit_status: int
    connections: int
    changes: tuple[str, ...]
    unseen: bool = False
    failures: tuple[str, ...] = ()
    unfinished: tuple[Unfinished, ...] = ()
    mode: str = "on"
    uncaught: tuple[tuple[str, str], ...] = ()
    refused: tuple[WouldRefuse, ...] = ()


class HiddenThing(Document):
    """Something that backout keeps hidden in the database.

    Attributes:
        migration: Number of the migration that dropped it, or whose way back took it away.
        kind: `column`, `table`, `type`, `index` or `schema`.
        called: What it was called.
        name: What it is called now.
        size_bytes: Of its files: of a table, of an index, of the indexes that go with a column.
        estimated_bytes: Of a column's values, by the statistics of the last ANALYZE; None: the table never had one.
        uncaught: What an INSERT or COPY that names no columns puts into a column at its place unnoticed: `value`, `NULL`, or
            None, as it is an error.
    """

    migration: int
    kind: str
    called: str
    name: str
    size_bytes: int
    estimated_bytes: int | None
    uncaught: str | None = None


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
