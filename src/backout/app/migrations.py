"""Migrations that can be taken back: needs a database, and no configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from backout.errors import Refused
from backout.message import msg
from backout.migration import LOCK_BUDGET_MS, WINDOW_H
from backout.redact import Redactor

if TYPE_CHECKING:
    from backout.databases.postgres.connect import Connector
    from backout.databases.postgres.inverse.earlier import Earlier
    from backout.databases.postgres.reversible.database import ReversibleDatabase
    from backout.migration import Finalized, Finished, Migrated, MigrationHistory, Uninstalled, WayTaken
    from backout.migration_down import DownFile, DownRun, DownTried
    from backout.migration_status import Blockers, MigrationStatus

_PATIENCE_S = 10.0
_HOUR_S = 3600.0


def run_directly(argv: Sequence[str]) -> Migrated:
    """Run a migration command as if backout were not there, with the environment that there is.

    Raises:
        UsageError: The command cannot be started.
    """
    from backout import foreground
    from backout.migration import Migrated

    try:
        status = foreground.run(argv)
    except OSError as error:
        raise foreground.not_started(argv, error) from None
    return Migrated(migration=None, exit_status=status, connections=0, changes=(), mode="off")


def named_in(argv: Sequence[str], conninfo: str) -> bool:
    """Tell whether a command has a database's URL in its own words, so that no variable leads it elsewhere. Pure."""
    place = conninfo.partition("://")[2]
    # A client may want another scheme. Without a role or password the rest may be a word of anybody's.
    wanted = place if "@" in place else conninfo
    return bool(wanted) and any(wanted in word for word in argv)


def refuse_to_try(argv: Sequence[str], conninfo: str, typed: str) -> None:
    """Refuse a command that is to be tried on scratch alone, and has the live database's URL in its own words. Pure.

    Args:
        argv: The command.
        conninfo: The live database.
        typed: What is typed before the command.

    Raises:
        Refused: It would run there.
    """
    if named_in(argv, conninfo):
        raise Refused(
            msg("The command has the live database's URL in its own words: it would run there"),
            state=msg("Nothing was run."),
            next_command=f"{typed} -- sh -c '… \"$DATABASE_URL\"'   # a shell puts the scratch database's URL there",
        )


def is_database(told: str) -> bool:
    """Tell whether it is the URL of a database, or key=value text, and not the name of a revision. Pure."""
    return "://" in told or "=" in told


class Migrations:
    """The migrations of one database.

    Every method raises a `BackoutError` that says what failed, the state now, and the next command.

    Args:
        database: URL or key=value text; None: DATABASE_URL, else the PG* variables.
        environ: The environment; None: the process's.
        lock_budget_ms: For how long the locks of a way back may be held: what would take longer is done before, where that can be.
    """

    def __init__(
        self,
        database: str | None = None,
        environ: Mapping[str, str] | None = None,
        *,
        lock_budget_ms: float = LOCK_BUDGET_MS,
    ) -> None:
        self._budget_ms = lock_budget_ms
        told = os.environ if environ is None else environ
        self._conninfo = database if database is not None else told.get("DATABASE_URL", "")
        self._environ = told

    def migrate(
        self,
        argv: Sequence[str],
        *,
        release: str | None = None,
        answers: Mapping[str, str] | None = None,
        defaults: Mapping[str, str] | None = None,
        variables: Sequence[str] = (),
        observe: bool = False,
        accept: Collection[str] = (),
    ) -> Migrated:
        """Run a migration command, unchanged, so that what it does can be taken back.

        Args:
            argv: The command; it inherits the terminal, and finds the database by the usual variables.
            release: Version that it belongs to.
            answers: What nobody can compute, by ``table.column``: an SQL expression for rows without a value; by
                ``back table.column``: one that tells the value of before a change of its type.
            defaults: The same, where neither `answers` nor a comment in a statement has one.
            variables: Further environment variables by which the command finds the database.
            observe: Rewrite and refuse nothing, and say what would have been; nothing of it can be taken back.
            accept: What is accepted by name: `subscribers`: those of logical replication see hidden columns and the journal.

        Raises:
            Refused: The command names the database itself, and would go past backout.
        """
        if not observe and named_in(argv, self._conninfo):
            raise Refused(
                msg("The command has the database's URL in its own words: it would go past backout"),
                state=msg("Nothing was run."),
                next_command="backout migrate -- sh -c '… \"$DATABASE_URL\"'   # a shell puts the URL there that leads through backout",
            )
        return self._database().migrate(
            argv,
            release=release,
            answers=answers or {},
            defaults=defaults or {},
            variables=variables,
            observe=observe,
            accept=accept,
        )

    def history(self) -> MigrationHistory:
        """Return the journal."""
        return self._database().history()

    def rollback(
        self,
        *,
        to: str | None = None,
        steps: int | None = None,
        dry_run: bool = False,
        patience_s: float = _PATIENCE_S,
        strict_order: bool = False,
        answers: Mapping[str, str] | None = None,
    ) -> WayTaken:
        """Take the newest migration back, or so many, or all after those of a release; no row and no value is lost.

        With `strict_order`, the order of columns counts when the schema is compared. `answers` tell what becomes of rows
        that violate a CHECK which comes back, this time: by ``repair table.column`` an SQL expression, by ``quarantine table``
        nothing; and by ``table.column`` what is put where the earlier type of a column cannot hold a value.
        """
        return self._database().back(
            to=to,
            steps=steps,
            dry_run=dry_run,
            patience_s=patience_s,
            strict_order=strict_order,
            answers=answers or {},
        )

    def redo(
        self,
        *,
        steps: int = 1,
        dry_run: bool = False,
        patience_s: float = _PATIENCE_S,
        strict_order: bool = False,
    ) -> WayTaken:
        """Make again what was taken back, the oldest first; `strict_order` as of `rollback`."""
        return self._database().forward(
            steps=steps, dry_run=dry_run, patience_s=patience_s, strict_order=strict_order
        )

    def finish(self) -> Finished:
        """Prove constraints and build indexes that a kill or a lock has left undone. Idempotent."""
        return self._database().finish()

    def status(self, *, steps: int = 1) -> MigrationStatus:
        """Return whether the newest migrations could be taken back now, and what is kept. Changes nothing, and never waits."""
        return self._database().status(steps=steps)

    def blockers(self) -> Blockers:
        """Return the sessions that wait for locks, and who blocks them."""
        return self._database().blockers()

    def end_blockers(self, found: Blockers) -> Blockers:
        """End the roots that were found, and return with them what the journal says of migrations that ran meanwhile."""
        return self._database().end_blockers(found)

    def finalize(
        self,
        *,
        to: str | None = None,
        steps: int | None = None,
        undone: bool = False,
        window_s: float = WINDOW_H * _HOUR_S,
        now: bool = False,
        dry_run: bool = False,
        patience_s: float = _PATIENCE_S,
    ) -> Finalized:
        """Really drop what migrations have hidden, the oldest first; they can no longer be taken back.

        Args:
            to: All up to those of this release; else those whose window is over.
            steps: So many.
            undone: Those that were taken back, too: they cannot be made again.
            window_s: How long a migration is kept, from its end on.
            now: Also those in their window.
            dry_run: Do it and roll it back.
            patience_s: Seconds to go on asking for tables that are in use.
        """
        return self._database().finalize(
            to=to,
            steps=steps,
            undone=undone,
            window_s=window_s,
            now=now,
            dry_run=dry_run,
            patience_s=patience_s,
        )

    def down_sql(
        self,
        argv: Sequence[str] = (),
        *,
        fills: Mapping[str, str] | None = None,
        variables: Sequence[str] = (),
        scratch: str | None = None,
        from_schema: str | None = None,
    ) -> DownFile:
        """Return the inverse of what a migration command would do now, as plain SQL, tried on scratch. Changes nothing here.

        Args:
            argv: The command; it is run on scratch alone, and finds the database there by the usual variables. With a revision
                as `from_schema` what migrates an empty database then.
            fills: What rows get in a column that comes back and has to have a value, by ``table.column``: SQL expressions.
            variables: Further environment variables by which the command finds the database.
            scratch: URL of a server for scratch databases; None: one is started, and ended.
            from_schema: What has the schema of before a migration that has run: the URL of a database, in the place of a
                command; or a git revision, whose files `argv` is run among.
        """
        from backout import __version__
        from backout.clock import SystemClock
        from backout.databases.postgres.inverse.down_file import down_file

        typed = "backout db down-sql" + (" --from-schema …" if from_schema is not None else "")
        refuse_to_try(argv, self._conninfo, typed)
        redactor = Redactor()
        with self._earlier(from_schema, argv, variables, redactor) as earlier:
            return down_file(
                self._connector(redactor),
                argv,
                redactor=redactor,
                at=SystemClock().now(),
                version=__version__,
                fills=fills or {},
                variables=variables,
                scratch_url=scratch,
                earlier=earlier,
            )

    @contextmanager
    def _earlier(
        self, told: str | None, argv: Sequence[str], variables: Sequence[str], redactor: Redactor
    ) -> Iterator[Earlier | None]:
        from backout.databases.postgres.inverse.earlier import MigrationsOfThen, OtherDatabase
        from backout.git.tags import checked_out

        if told is None:
            yield None
        elif is_database(told):
            yield OtherDatabase(self._other(told, redactor))
        else:
            with checked_out(told, Path.cwd()) as directory:
                yield MigrationsOfThen(told, directory, argv, variables, redactor)

    def run_down(
        self,
        file: Path | None = None,
        argv: Sequence[str] = (),
        *,
        sure: Callable[[DownTried], bool],
        release: str | None = None,
        variables: Sequence[str] = (),
        scratch: str | None = None,
        to_schema: str | None = None,
        values_from: str | None = None,
    ) -> DownRun:
        """Try a prepared down on scratch, count what it takes away, and run it so that it can be taken back itself.

        Args:
            file: The down, as SQL in one transaction; None: a migration tool makes it.
            argv: The tool's command, where there is no file.
            sure: Is asked before the database is changed, with what was found; False: it was only to be tried.
            release: Version that the code has after it.
            variables: Further environment variables by which the command finds the database.
            scratch: URL of a server for scratch databases; None: one is started, and ended.
            to_schema: URL of a database with the schema that it has to lead to.
            values_from: URL of a database that was restored from a backup of before the migration: columns and tables that
                the down in a file makes again get their values from there, by primary key.
        """
        from backout.databases.postgres.inverse.run_down import of_file, of_tool, run_down

        refuse_to_try(argv, self._conninfo, "backout db run-down --tool")
        redactor = Redactor()
        live = self._connector(redactor)
        for url in (to_schema, values_from):
            if url is not None:
                self._other(url, redactor)
        return run_down(
            live,
            of_file(file) if file is not None else of_tool(argv, redactor),
            redactor=redactor,
            migrate=lambda words: self.migrate(words, release=release, variables=variables),
            sure=sure,
            variables=variables,
            scratch_url=scratch,
            to_schema=to_schema,
            values_from=values_from,
        )

    def uninstall(self, *, patience_s: float = _PATIENCE_S) -> Uninstalled:
        """Take everything of backout out of the database; refuse while anything is hidden. Idempotent."""
        return self._database().uninstall(patience_s=patience_s)

    def _connector(self, redactor: Redactor) -> Connector:
        from backout.databases.postgres.connect import secrets_of
        from backout.databases.postgres.inverse.catalog import connector_of

        redactor.add(*secrets_of(self._conninfo, self._environ))
        return connector_of(self._conninfo, redactor)

    def _other(self, url: str, redactor: Redactor) -> Connector:
        from backout.databases.postgres.connect import secrets_of
        from backout.databases.postgres.inverse.catalog import connector_of

        redactor.add(*secrets_of(url, {}))
        return connector_of(url, redactor)

    def _database(self) -> ReversibleDatabase:
        from backout.databases.postgres.reversible.database import ReversibleDatabase

        return ReversibleDatabase(self._conninfo, self._environ, Redactor(), budget_ms=self._budget_ms)
