"""The part of `PostgresDatabase` that takes migrations back. Each call imports what it needs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backout.databases.postgres.connect import Connector
    from backout.databases.postgres.reversible.of_releases import ReleaseMigrations
    from backout.migration import Finished, MigrationRecord, WayTaken
    from backout.migration_status import BlockedSession
    from backout.migration_way import MigrationsBack, Part, Prepared
    from backout.platforms.base import Site


class PostgresUndoes:
    """Keeps the contract `databases.undoing.UndoesMigrations`; see there for what each call promises."""

    _connector: Connector
    _site: Site

    def migrations(self) -> tuple[MigrationRecord, ...]:
        """Return the journal, oldest first; empty: there is none."""
        from backout.databases.postgres.reversible.journal import installed
        from backout.databases.postgres.reversible.link import DirectLink, LinkError

        deadline_s = self._connector.statement_timeout_s
        # The engine takes longer to load than all else of a plan; it also has the words for what went wrong here.
        with self._place().session(deadline_s, autocommit=True) as connection, suppress(LinkError):
            if not installed(DirectLink(connection)):
                return ()
        return self._journal().records()

    def migrations_back(self, migrations: Sequence[int]) -> MigrationsBack:
        """Look how these migrations could be taken back now, and when beside the code."""
        return self._journal().outlook(migrations)

    def migrations_due(self) -> tuple[str, ...]:
        """Return the statements that are still due after a way back or forward."""
        return self._journal().due()

    def migrations_prepared(self, migrations: Sequence[int]) -> Prepared:
        """Return how far that is which has to be built before these migrations are taken back."""
        return self._journal().prepared(migrations)

    def prepare_migrations(self, migrations: Sequence[int]) -> Finished:
        """Build it, while everybody works; idempotent."""
        return self._journal().prepare(migrations)

    def unprepare_migrations(self, migrations: Sequence[int]) -> None:
        """Take it away; idempotent."""
        self._journal().unprepare(migrations)

    def migrations_left(self, migrations: Sequence[int], part: Part, *, taken_back: bool) -> int:
        """Return how many changes of a part are still to be taken back, or made again."""
        return self._journal().left(migrations, part, taken_back=taken_back)

    def take_back(self, migrations: Sequence[int], part: Part) -> WayTaken | None:
        """Take these migrations back; idempotent."""
        return self._journal().take_back(migrations, part)

    def make_again(self, migrations: Sequence[int], part: Part) -> WayTaken | None:
        """Make these migrations again, the oldest first; idempotent."""
        return self._journal().make_again(migrations, part)

    def finish_migrations(self) -> Finished:
        """Do what is due; idempotent."""
        return self._journal().finish()

    def waiting(self, deadline_s: float) -> tuple[BlockedSession, ...]:
        """Return the sessions that wait for locks, and who keeps them waiting."""
        from backout.databases.postgres.reversible.link import DirectLink, LinkError
        from backout.databases.postgres.reversible.waiting import waiting

        with self._connector.session(deadline_s, autocommit=True) as connection:
            try:
                return tuple(waiting(DirectLink(connection), self._site.redactor.text))
            except LinkError as error:
                from backout.databases.postgres.reversible.refusals import (
                    refused,
                )  # It brings the whole engine.

                raise refused(error, self._site.redactor) from None

    def _journal(self) -> ReleaseMigrations:
        from backout.databases.postgres.reversible.of_releases import ReleaseMigrations

        return ReleaseMigrations(
            self._place().conninfo,
            self._site.environ,
            self._site.redactor,
            budget_ms=self._site.lock_budget_ms,
        )

    def _place(self) -> Connector:
        """Return where the service's database is: a switch may have led it to another one of the server."""
        return (
            self._connector if self._connector.used is None else self._connector.to(self._connector.database)
        )
