"""What a database offers whose migrations can be taken back: the journal, whether it would work, and doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backout.migration import Finished, MigrationRecord, WayTaken
    from backout.migration_status import BlockedSession
    from backout.migration_way import MigrationsBack, Part, Prepared


@runtime_checkable
class UndoesMigrations(Protocol):
    """A database adapter that keeps a journal of migrations. What looks changes nothing; all raise a `BackoutError`."""

    def migrations(self) -> tuple[MigrationRecord, ...]:
        """Return the journal, oldest first; empty: there is none."""
        ...

    def migrations_back(self, migrations: Sequence[int]) -> MigrationsBack:
        """Look how these migrations could be taken back now, and when beside the code."""
        ...

    def migrations_due(self) -> tuple[str, ...]:
        """Return the statements that are still due after a way back or forward."""
        ...

    def migrations_prepared(self, migrations: Sequence[int]) -> Prepared:
        """Return how far that is which has to be built before these migrations are taken back."""
        ...

    def prepare_migrations(self, migrations: Sequence[int]) -> Finished:
        """Build it, while everybody works; where something fails nothing of it stays. Idempotent."""
        ...

    def unprepare_migrations(self, migrations: Sequence[int]) -> None:
        """Take it away: these migrations are not taken back. Idempotent."""
        ...

    def migrations_left(self, migrations: Sequence[int], part: Part, *, taken_back: bool) -> int:
        """Return how many changes of a part are still to be taken back, or (`taken_back` False) made again."""
        ...

    def take_back(self, migrations: Sequence[int], part: Part) -> WayTaken | None:
        """Take these migrations, or a part of their changes, back in one transaction; what is due afterwards is left to `finish_migrations`.

        Idempotent: those that were taken back are left as they are. None: all were.

        Raises:
            Refused: Another one was made after them, or something was changed behind the journal.
            NotPossible: Their tables are in use, and stay so.
        """
        ...

    def make_again(self, migrations: Sequence[int], part: Part) -> WayTaken | None:
        """Make these migrations again, the oldest first; as `take_back`."""
        ...

    def finish_migrations(self) -> Finished:
        """Do what is due; idempotent."""
        ...

    def waiting(self, deadline_s: float) -> tuple[BlockedSession, ...]:
        """Return the sessions that wait for locks, each root before those behind it."""
        ...
