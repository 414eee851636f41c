"""What was found out about a migration before it is deployed: whether it can be taken back, with everything."""

from __future__ import annotations

from enum import StrEnum

from backout.document import Document


class Verdict(StrEnum):
    """What a check comes to."""

    PROVEN = "proven"
    """There, written, back and there again: nothing was lost."""
    ANSWER = "answer"
    """It can be taken back once somebody has told what nobody can compute."""
    UNKNOWN = "unknown"
    """What was tried does not hold for the live database, or could not be tried."""
    REFUSED = "refused"
    """`backout migrate` refuses it."""
    WRONG = "wrong"
    """Something was not as it has to be: a mistake of backout."""
    FAILED = "failed"
    """The command fails by itself."""


class Way(StrEnum):
    """How long one change takes to be taken back."""

    AT_ONCE = "at-once"
    """However big the table is, and however much was written since."""
    ROWS_SINCE = "rows-since"
    """As long as it takes to write the rows that were written or changed since, or that the migration changed."""
    BACKGROUND = "background"
    """As `AT_ONCE`; afterwards something is built or proven while everybody works, as long as the table is big."""
    WHOLE_TABLE = "whole-table"
    """As long as the table is big, while nobody else can use it."""
    ANSWER = "answer"
    """Somebody has to tell what nobody can compute."""
    REFUSED = "refused"
    """It cannot be taken back."""


class ProvenChange(Document):
    """One change of a migration, and its way back.

    Attributes:
        what: The change, for people.
        way: How it goes back.
        why: Of what is refused or needs an answer: the reason.
        answer: What would have to be told.
        statement: The statement that made it, in one line of up to 200 characters; None: not known.
    """

    what: str
    way: Way
    why: str | None = None
    answer: str | None = None
    statement: str | None = None


class Breaks(Document):
    """Something that the code which runs now can no longer do once the migration has run, until it is replaced or all goes back.

    Attributes:
        what: What it cannot do, naming the table or column.
        kind: A short name of the kind, as linters of migrations call it.
    """

    what: str
    kind: str


class LockTaken(Document):
    """A table that the migration locks.

    Attributes:
        table: Schema and name.
        mode: The strongest lock, as PostgreSQL calls it.
        blocks: What others cannot do meanwhile: `reads and writes`, `writes` or `nothing`.
        rows: Of the live table, by its statistics, or as it was told; None: unknown.
        seconds: Estimate of how long the migration works while it holds the lock; None: the table's size is unknown.
        because: What takes that long; empty: only the catalog is changed.
    """

    table: str
    mode: str
    blocks: str
    rows: int | None
    seconds: float | None
    because: tuple[str, ...] = ()


class MigrationProof(Document):
    """What a check has found.

    Attributes:
        command: What was run, without secrets.
        migration: Of a whole history: which one.
        verdict: What it comes to.
        server: Version of the scratch server.
        changes: Every change, in order.
        breaks: What the code that runs now can no longer do.
        locks: The tables that the migration locks.
        wrong: What was not as it has to be.
        stays: What is not as it was after the way back, as backout says itself.
        unknown: Why nothing is proven for the live database.
        live_moved: The live schema, or a tool's history there, became another one meanwhile.
        rows: How many rows were made, for how many tables, before the migration and since.
        without_rows: Tables that got no rows, with the reason.
        output: What the command printed, where it failed; else empty.
        command_s: How long the command ran without backout.
        seconds: How long all took.
    """

    command: str
    migration: str | None = None
    verdict: Verdict
    server: str
    changes: tuple[ProvenChange, ...] = ()
    breaks: tuple[Breaks, ...] = ()
    locks: tuple[LockTaken, ...] = ()
    wrong: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    live_moved: bool = False
    rows: int = 0
    tables: int = 0
    written: int = 0
    without_rows: dict[str, str] = {}
    output: str = ""
    command_s: float = 0
    seconds: float = 0


class HistoryProof(Document):
    """What a check of a whole history has found.

    Attributes:
        verdict: That of the worst of its migrations.
        migrations: Each, in order.
    """

    verdict: Verdict
    migrations: tuple[MigrationProof, ...]
