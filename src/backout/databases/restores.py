"""What a database offers that can be taken back to a backup: dump, read, restore beside, compare, swap."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from pathlib import Path

    from backout.backup import (
        Backup,
        BesideDatabase,
        Brought,
        Reading,
        RestoreOrder,
        SwapOrder,
        TableCount,
        TableDifference,
    )
    from backout.message import Message
    from backout.observed import HoldFact
    from backout.platforms.base import Diagnosis

    Note = Callable[[Message], None]


class Dumped(NamedTuple):
    """What a dump wrote, and what stood in its snapshot; becomes a `Manifest`."""

    database: str
    taken_at: datetime
    finished_at: datetime
    server_version: int
    dump_version: str
    migration_head: str | None
    schema_fingerprint: str
    rows: dict[str, int]
    rows_exact: bool
    database_bytes: int
    unpacked_bytes: int | None


class LiveDatabase(NamedTuple):
    """The live database as the maintenance database sees it; `accepts` False: nobody can connect to it."""

    name: str
    oid: int
    size_bytes: int
    accepts: bool
    server_version: int
    may_create: bool


class Checked(NamedTuple):
    """What was found in a restored database.

    Attributes:
        fingerprint: Of its schema, as `Database.schema` would say.
        migration_head: As in a manifest.
        rows: Exact rows by table.
        problems: Everything that is not as it should be: invalid constraints or indexes, other settings, rights,
            owner, comment or publications than the live one.
        written: What `Restorable.written` said then.
    """

    fingerprint: str
    migration_head: str | None
    rows: dict[str, int]
    problems: tuple[Message, ...]
    written: str


class InTheWay(NamedTuple):
    """What stands against a swap before there is anything to swap with.

    Attributes:
        blockers: What has to end first: prepared transactions, sessions out of reach, rights that lack.
        slots: Logical slots and subscriptions, by name: they stay with the old database, and may be accepted.
    """

    blockers: tuple[Message, ...]
    slots: tuple[str, ...]


@runtime_checkable
class Restorable(Protocol):
    """A database adapter that can dump, restore beside and swap.

    Everything is absolute and idempotent, so that a run that was cut short can go on: `start_restore` begins
    anew what was cut short, `swap` does what is left to do. Raises `BackoutError`s that name the state.
    """

    def live(self, deadline_s: float) -> LiveDatabase:
        """Return the live database, asked through the maintenance database; works while nobody can connect to it."""
        ...

    def migration_head(self, deadline_s: float) -> str | None:
        """Return which migration the live database stands at, as in a manifest; None: no tool is known."""
        ...

    def beside(self, deadline_s: float) -> tuple[BesideDatabase, ...]:
        """Return every database of this service that stands beside the live one, oldest first."""
        ...

    def free_bytes(self, path: str | None) -> int | None:
        """Return the free bytes on the disk that the database lies on; None: it cannot be told from here."""
        ...

    def dump(self, to: Path, *, jobs: int, note: Note, tables: tuple[str, ...] = ()) -> Dumped:
        """Write the live database into the new folder `to`, from one snapshot.

        Args:
            to: The folder.
            jobs: Processes at a time.
            note: Tells who watches.
            tables: ``schema.table`` each: of these alone the rows are written, and every object; empty: all rows.
        """
        ...

    def read(self, backup: Backup, *, note: Note) -> Reading:
        """Read a backup to its end, and everything that a restore would run; changes nothing.

        The server is asked for its version and the database's name; it need not answer.
        """
        ...

    def start_restore(self, order: RestoreOrder, run: str | None) -> None:
        """Make the new database and start the restore in a process that outlives this one. Returns at once."""
        ...

    def stop_restore(self, database: str) -> None:
        """End the restore into that database if one goes on. Idempotent."""
        ...

    def restore_state(self, database: str) -> BesideDatabase:
        """Return how far that database is (`ABSENT` when it is not there), with what it waits for in `why`."""
        ...

    def drop_beside(self, database: str) -> None:
        """Drop a database that stands beside; it is `ABSENT` then, also where its restore had failed. Idempotent.

        Raises:
            Refused: It is the live one, or one that it did not make.
        """
        ...

    def check_restored(self, database: str, live: str, *, note: Note) -> Checked:
        """Look whether a restored database is whole, and compare what belongs to a database with the live one."""
        ...

    def catch_up(self, database: str, live: str) -> tuple[Message, ...]:
        """Give a restored database what the live one got since it was checked and a swap does not carry; return what could not be.

        Idempotent.
        """
        ...

    def written(self, database: str, deadline_s: float) -> str:
        """Return a mark of that database: unchanged means that nobody wrote a row or changed an object."""
        ...

    def counts(self, database: str, *, exact: bool, deadline_s: float) -> dict[str, int]:
        """Return rows by table (``schema.table``): counted, or the server's estimates."""
        ...

    def sequences(self, deadline_s: float) -> tuple[tuple[str, str, int], ...]:
        """Return schema, name and last value of each sequence of the live database that has given one out.

        Raises:
            NotPossible: The role may not read one of them; it is named.
        """
        ...

    def advance_sequences(self, reached: tuple[tuple[str, str, int], ...]) -> int:
        """Set sequences of the live database that are behind to what was reached; return how many. Idempotent."""
        ...

    def compare_counts(self, beside: str, deadline_s: float) -> tuple[TableCount, ...]:
        """Return the rows by table of the live database (estimates where counting takes too long) and of `beside`."""
        ...

    def doctor_restores(self) -> Iterable[Diagnosis]:
        """Try what a restore beside and a swap would need, touching nothing."""
        ...

    def in_the_way(self) -> InTheWay:
        """Return what stands against any swap of the live database now."""
        ...

    def swap_blockers(self, order: SwapOrder) -> tuple[Message, ...]:
        """Return what would keep the swap from being made now, or would end with it; empty: nothing."""
        ...

    def swap(self, order: SwapOrder, *, note: Note) -> float:
        """Make `beside` live; return the seconds in which no one could write. Nothing is half done when it raises."""
        ...

    def swap_state(self, order: SwapOrder) -> bool | None:
        """Return True: `beside_oid` is live and open; False: the old one is live and open; None: neither is open."""
        ...

    def closed_means(self) -> HoldFact | None:
        """Return a hold that a swap cut short has left behind (nobody can connect); None: there is none."""
        ...


@runtime_checkable
class Switchable(Protocol):
    """A database adapter whose service can be made to use another database of the server, under that one's own name.

    An order's `live` is what the service uses before, `beside` what it uses afterwards; its `kept` is the name of
    `live`. Everything is idempotent; the way back of a switch is the same with the names exchanged.
    """

    def follow(self, used: Callable[[], str], server: str | None = None) -> None:
        """From now on, take the database that `used` names for the live one, whatever the configured address names.

        Args:
            used: Tells the name.
            server: Address of another server, on which restored databases are made; None: on the same one.
        """
        ...

    def place(self, database: str) -> tuple[str, str]:
        """Return host and port of the server that has that database."""
        ...

    def elsewhere(self, database: str | None) -> str | None:
        """Return ``host:port`` of a database (None: of one to be made) that is not on the configured address's server; None: it is."""
        ...

    def in_the_way_of_a_switch(self) -> InTheWay:
        """Return what stands against any switch away from the live database now."""
        ...

    def switch_blockers(self, order: SwapOrder) -> tuple[Message, ...]:
        """Return what would keep the switch from being made now, or would end with it; empty: nothing."""
        ...

    def begin_switch(self, order: SwapOrder, *, held: bool, note: Note) -> None:
        """Before the service is switched: let nobody write into `live` any more, and make `beside` ready to be written.

        Args:
            order: What is switched.
            held: Whether the run itself makes `live` refuse writes, before and after.
            note: Tells who watches.

        Raises:
            NotPossible: Something is in the way; all of it is named. Nothing was changed.
            StepFailed: Sessions could not be ended; `live` takes writes as before.
        """
        ...

    def end_switch(self, order: SwapOrder, *, held: bool) -> None:
        """Once the service uses `beside`: keep `live`, marked and read-only, and end the sessions that are left in it.

        Where a switch the other way round was cut short before the service noticed, that one is undone.
        """
        ...

    def undo_switch(self, order: SwapOrder, *, held: bool) -> None:
        """Where the service still uses `live`: let it be written again, unless the run itself holds it (`held`)."""
        ...

    def switch_ended(self, order: SwapOrder) -> bool:
        """Return whether all is as `end_switch` leaves it."""
        ...

    def left_behind(self, deadline_s: float) -> tuple[str, ...]:
        """Name the sessions in kept databases: of clients that were not told, or did not notice."""
        ...


@runtime_checkable
class RestoresTables(Protocol):
    """A database adapter that can make some tables of the live database equal to those of one that stands beside."""

    def unfit_tables(self, tables: tuple[str, ...]) -> tuple[Message, ...]:
        """Return why tables (``schema.table``) cannot go back alone, as far as the live database tells; empty: they can."""
        ...

    def compare_tables(
        self, beside: str, tables: tuple[str, ...], *, note: Note
    ) -> tuple[TableDifference, ...]:
        """Compare them; changes nothing. `inserted` is what only `beside` has, `deleted` what only the live one has.

        Raises:
            NotPossible: They cannot be made equal; every reason is named.
        """
        ...

    def restore_tables(
        self, beside: str, tables: tuple[str, ...], *, max_deleted: int | None, note: Note
    ) -> tuple[TableDifference, ...]:
        """Make the live tables equal to those of `beside`, all in one transaction; return what differed. Idempotent.

        Args:
            beside: The database that the tables are restored in.
            tables: ``schema.table`` each; all others stay as they are.
            max_deleted: Rows that only the live database has, at most; None: any number.
            note: Tells who watches.

        Raises:
            LossAboveCeiling: More rows than `max_deleted` would go; nothing was changed.
            NotPossible: They could not be made equal; nothing was changed.
        """
        ...


@runtime_checkable
class Comparable(Protocol):
    """A database adapter that can tell what a kept database has, and bring it over."""

    def differences(
        self, kept: str, *, tables: tuple[str, ...], examples: int, note: Note
    ) -> tuple[TableDifference, ...]:
        """Compare every table (or those named) of the kept database with the live one; changes nothing, locks nothing.

        Tables without any difference are in it too, with zeros.
        """
        ...

    def bring(
        self,
        kept: str,
        tables: tuple[str, ...],
        *,
        where: str | None,
        take_updated: bool,
        dry_run: bool,
        note: Note,
    ) -> tuple[Brought, ...]:
        """Copy rows that only the kept database has into the live one, in one transaction, parents first; idempotent.

        Args:
            kept: The kept database.
            tables: Each as ``schema.table``.
            where: SQL condition on the kept table, where it is one; None: all.
            take_updated: Also overwrite rows that differ and were not written after the swap.
            dry_run: Do it, tell what happened, and roll back.
            note: Tells who watches.
        """
        ...
