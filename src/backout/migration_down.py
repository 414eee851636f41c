"""A migration's inverse as a plain SQL file, and a prepared down that was run, as data."""

from __future__ import annotations

from datetime import datetime

from backout.document import Document
from backout.message import Message
from backout.migration import Migrated


class Destroys(Document):
    """What a down takes away with all that was written into it.

    Attributes:
        called: Table, or table and column.
        rows: How many rows, or values, there are in the live database; None: it was not asked.
        counted_by: The query that counts them.
    """

    called: str
    rows: int | None = None
    counted_by: str


class Stops(Document):
    """What makes a down stop, and change nothing, if there is any such row.

    Attributes:
        why: What it is.
        counted_by: A query for how many rows that are; None: only running it tells.
        rows: How many there are in the live database; None: it was not asked.
    """

    why: Message
    counted_by: str | None = None
    rows: int | None = None


class DownFile(Document):
    """A migration's inverse as plain SQL.

    Attributes:
        command: What made the migration, without secrets.
        database: Whose schema it was made for.
        made_at: When.
        server_version: PostgreSQL's, of the live database.
        statements: In one transaction.
        cannot: What they do not bring back.
        destroys: What they take away.
        stops: What makes them stop.
        left: What is another than it was after them, on scratch; empty: the schema is proven equal.
        unknown: Why the proof is none for the live database.
        text: The file.
    """

    command: str
    database: str
    made_at: datetime
    server_version: str
    statements: tuple[str, ...]
    cannot: tuple[Message, ...]
    destroys: tuple[Destroys, ...]
    stops: tuple[Stops, ...]
    left: tuple[Message, ...] = ()
    unknown: tuple[Message, ...] = ()
    text: str = ""

    @property
    def proven(self) -> bool:
        """Whether the schema after it is the one of before, tried on scratch that is like the live database."""
        return not self.left and not self.unknown


class Wanted(Document):
    """What a down makes again, and a backup may have.

    Attributes:
        table: Its quoted name with its schema.
        columns: Those that are made again, by name; of a table that is made again all.
        keys: The primary key's; empty: the table is made again, with all rows.
    """

    table: str
    columns: tuple[str, ...]
    keys: tuple[str, ...] = ()


class Brought(Document):
    """What was brought.

    Attributes:
        table: Where.
        columns: Which.
        rows: So many rows got their values.
        without: So many have none: they were not in the backup. None: not counted.
    """

    table: str
    columns: tuple[str, ...]
    rows: int
    without: int | None = None


class DownTried(Document):
    """A prepared down as it was tried on scratch, and what it costs in the live database.

    Attributes:
        database: The live database.
        wanted: Where the schema is from that it has to lead to; None: none was known, and none compared.
        left: What is another than wanted after it.
        unknown: Why the trial is none for the live database.
        destroys: What it takes away, counted in the live database.
        brings: What it makes again, and gets from the backup that was named.
        keyless: Columns that it makes again, and gets no value of: no primary key tells which row is which.
    """

    database: str
    wanted: str | None
    left: tuple[Message, ...] = ()
    unknown: tuple[Message, ...] = ()
    destroys: tuple[Destroys, ...] = ()
    brings: tuple[Wanted, ...] = ()
    keyless: tuple[str, ...] = ()


class DownRun(Document):
    """A prepared down that was run through backout.

    Attributes:
        tried: As it was tried before.
        migrated: How it ran: it is a migration of its own, and can be taken back; None: it was only tried.
        schema_same: Whether the live schema after it is the one that it made on scratch; None: not compared.
        brought: What came from the backup that was named.
    """

    tried: DownTried
    migrated: Migrated | None
    schema_same: bool | None
    brought: tuple[Brought, ...] = ()
