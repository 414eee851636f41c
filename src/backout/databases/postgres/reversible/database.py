"""One database as the `migrate` and `db` verbs use it: our errors instead of the engine's, documents instead of rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from backout import foreground
from backout.databases.postgres.catalog import read_schema
from backout.databases.postgres.connect import DOCTOR, BehindAPooler, Connector, secrets_of
from backout.databases.postgres.reversible import back, journal, subscribers
from backout.databases.postgres.reversible.after import finish
from backout.databases.postgres.reversible.alone import Busy, alone
from backout.databases.postgres.reversible.answers import over
from backout.databases.postgres.reversible.asking import Asking
from backout.databases.postgres.reversible.back import NotReversible, Outcome
from backout.databases.postgres.reversible.budget import over_budget
from backout.databases.postgres.reversible.catalog import read, read_alone
from backout.databases.postgres.reversible.choosing import STATES_STAYED, newest, nothing, oldest
from backout.databases.postgres.reversible.command import USUAL, Launch, in_transaction, run_command
from backout.databases.postgres.reversible.due import owed
from backout.databases.postgres.reversible.finalize import Dropped, finalize
from backout.databases.postgres.reversible.fingerprint import read_digests
from backout.databases.postgres.reversible.given_back import set_aside_rows
from backout.databases.postgres.reversible.held import uncaught_by
from backout.databases.postgres.reversible.journal import Migration
from backout.databases.postgres.reversible.link import DirectLink, Link, LinkError, scalar
from backout.databases.postgres.reversible.locks import Locked
from backout.databases.postgres.reversible.not_again import not_again
from backout.databases.postgres.reversible.observing import observe_command
from backout.databases.postgres.reversible.private import strangers
from backout.databases.postgres.reversible.proven import Shape, shape_back, shape_forward
from backout.databases.postgres.reversible.proxy.upstream import Upstream
from backout.databases.postgres.reversible.ready import give_up
from backout.databases.postgres.reversible.records import record, taken
from backout.databases.postgres.reversible.refusals import (
    all_published,
    busy,
    giving_back,
    made_by_others,
    out_of_order,
    refused,
    told,
)
from backout.databases.postgres.reversible.repaired_ahead import early, give_back_early
from backout.databases.postgres.reversible.since import rows_again
from backout.databases.postgres.reversible.status import read_status
from backout.databases.postgres.reversible.uninstall import still_hidden, uninstall
from backout.databases.postgres.reversible.waiting import end, waiting
from backout.databases.postgres.reversible.words import sentence
from backout.errors import (
    BackoutError,
    ConfigError,
    CredentialsRefused,
    NotPossible,
    Refused,
    TargetUnreachable,
)
from backout.message import msg
from backout.migration import (
    LOCK_BUDGET_MS,
    Finalized,
    Finished,
    Migrated,
    MigrationHistory,
    MigrationRecord,
    Unfinished,
    Uninstalled,
    WayTaken,
)
from backout.migration_status import Blockers, MigrationStatus
from backout.redact import Redactor

if TYPE_CHECKING:
    import psycopg

_CONNECT_S = 10.0
_WITHOUT_US = 'psql -c "SELECT 1" "$DATABASE_URL"   # the same database, without backout'
_SAY_WHERE = "backout db status --database postgresql://USER@HOST/NAME   # or set DATABASE_URL, or PGHOST and the others"
_WHERE = "The database's URL (--database, else DATABASE_URL)"
_DAY_S = 86_400.0
"""For statements that take as long as they take: an index of a large table, rows that have to be filled in."""


class ReversibleDatabase:
    """One PostgreSQL database, and the journal in it.

    Args:
        conninfo: URL or key=value text; empty: the PG* variables.
        environ: Where the PG* variables and secrets are.
        redactor: Gets to know the secrets.
        budget_ms: For how long the locks of a way back may be held, as far as that can be.
        launch: How a migration command is run.
    """

    def __init__(
        self,
        conninfo: str,
        environ: Mapping[str, str],
        redactor: Redactor,
        *,
        budget_ms: float = LOCK_BUDGET_MS,
        launch: Launch = USUAL,
    ) -> None:
        self._budget_ms, self._launch = budget_ms, launch
        redactor.add(*secrets_of(conninfo, environ))
        self._redactor, self._conninfo = redactor, conninfo
        named = bool(conninfo) or not environ.keys().isdisjoint(("PGHOST", "PGSERVICE"))
        self._next = _WITHOUT_US if named else _SAY_WHERE
        self._connector = Connector(conninfo, redactor, _CONNECT_S, _DAY_S, _CONNECT_S, setting=_WHERE)

    def migrate(
        self,
        argv: Sequence[str],
        *,
        release: str | None,
        answers: Mapping[str, str],
        defaults: Mapping[str, str],
        variables: Sequence[str],
        observe: bool = False,
        accept: Collection[str] = (),
    ) -> Migrated:
        """Run a migration command through the proxy.

        Raises:
            RunInProgress: Another migration runs in this database.
            UsageError: The command cannot be started.
            TargetUnreachable: The database does not answer.
            NotPossible: The role may not make the journal's schema.
            Refused: Subscribers follow all tables, and that was not accepted.
        """
        told = self._redactor.text(" ".join(argv))
        with self._link() as link, ExitStack() as opened:
            if subscribers.ACCEPT not in accept and (published := subscribers.of_everything(link)):
                raise all_published(published)
            try:
                upstream, given = Upstream.of(self._conninfo), over(defaults, answers)
                if observe:
                    ran = observe_command(
                        link,
                        upstream,
                        argv,
                        told=told,
                        release=release,
                        answers=given,
                        variables=variables,
                        accept=accept,
                        launch=self._launch,
                    )
                else:
                    ran = run_command(
                        link,
                        upstream,
                        argv,
                        told=told,
                        release=release,
                        fingerprint=self._fingerprint,
                        answers=given,
                        connect=lambda: opened.enter_context(self._link()),
                        variables=variables,
                        accept=accept,
                        launch=self._launch,
                    )
            except Busy as error:
                raise busy(error) from None
            except OSError as error:
                raise foreground.not_started(argv, error) from None
            uncaught = () if observe else self._uncaught(link, ran.migration)
        changes = tuple(sentence(entry) for entry in ran.entries)
        return Migrated(
            migration=ran.migration,
            exit_status=ran.exit_status,
            connections=ran.connections,
            changes=changes,
            uncaught=uncaught,
            unseen=ran.unseen,
            failures=tuple(self._redactor.text(one) for one in ran.failures),
            unfinished=ran.unfinished,
            mode="observe" if observe else "on",
            refused=ran.refused,
        )

    def _uncaught(self, link: DirectLink, migration: int | None) -> tuple[tuple[str, str], ...]:
        if migration is None:
            return ()
        try:
            found = uncaught_by(read_alone(link), journal.every_entry(link), migration)
        except LinkError:  # the command has ended, whether the database answers now or not
            return ()
        return tuple((one.called, str(one.uncaught)) for one in found)

    def history(self) -> MigrationHistory:
        """Return every migration of the journal."""
        with self._link() as link:
            if not journal.installed(link):
                return MigrationHistory(database=self._connector.database, migrations=())
            records = tuple(record(link, one) for one in journal.migrations(link))
        return MigrationHistory(database=self._connector.database, migrations=records)

    def back(
        self,
        *,
        to: str | None,
        steps: int | None,
        dry_run: bool,
        patience_s: float,
        strict_order: bool,
        answers: Mapping[str, str],
    ) -> WayTaken:
        """Take the newest migrations back: so many, or all after those of a release.

        Raises:
            UsageError: There is nothing to take back, or no such release.
            NotPossible: The tables are in use, and stay so.
            Refused: Something was changed behind the journal's back, or one of them was finalized, or only observed.
        """
        with self._link() as link:
            chosen = newest(self._known(link), to=to, steps=steps)
            entries = journal.entries(link, tuple(one.id for one in chosen), "applied")
            wanted = shape_back(sorted(chosen, key=lambda one: one.id), entries, self._shape(link))
            with told("rollback"):
                try:
                    outcome = back.undo(
                        link,
                        chosen,
                        patience_s=patience_s,
                        dry_run=dry_run,
                        answers=answers,
                        budget_ms=self._budget_ms,
                    )
                except (Locked, NotReversible):
                    # A run keeps what it has built for its next try; what was typed here may be the last one.
                    if not dry_run:
                        with giving_back():
                            give_up(link, entries)
                    raise
            unfinished = () if dry_run else finish(link).unfinished
            done = taken("back", outcome, unfinished, dry_run=dry_run)
            return self._proven(link, done, wanted, strict_order=strict_order)

    def forward(self, *, steps: int, dry_run: bool, patience_s: float, strict_order: bool) -> WayTaken:
        """Make the oldest migrations again that were taken back.

        Raises:
            UsageError: None was taken back.
            NotPossible: The tables are in use, and stay so.
            Refused: Something was changed behind the journal's back.
        """
        with self._link() as link:
            found = self._known(link)
            chosen = [one for one in found if one.state == "undone"][:steps]
            if not chosen:
                raise nothing("No migration was taken back")
            later = [one.id for one in found if one.state in STATES_STAYED and one.id > chosen[0].id]
            if later:
                raise out_of_order(chosen[0].id, later)
            # One by one: what a migration builds after its COMMIT may be renamed by the next one.
            turns = [chosen] if dry_run else [[one] for one in chosen]
            undone = [one for one in journal.every_entry(link) if one.state == "undone"]
            wanted = shape_forward(chosen, undone, self._shape(link))
            now, again = read_alone(link), [e for e in undone if e.migration in {m.id for m in chosen}]
            rows = not_again(Asking(link), now, again)
            over = (
                list(over_budget(rows_again(Asking(link), now, again), {}, self._budget_ms))
                if dry_run
                else []
            )
            outcomes: list[Outcome] = []
            unfinished: list[Unfinished] = []
            for turn in turns:
                with told("redo"):
                    outcomes.append(back.redo(link, turn, patience_s=patience_s, dry_run=dry_run))
                unfinished += [] if dry_run else finish(link).unfinished
            outcome = back.joined(outcomes)
            outcome.residues += rows
            outcome.over_budget = over
            done = taken("forward", outcome, tuple(unfinished), dry_run=dry_run)
            return self._proven(link, done, wanted, strict_order=strict_order)

    def finish(self) -> Finished:
        """Do what is due after a COMMIT, where a kill or a lock has left it. Idempotent.

        Raises:
            RunInProgress: A migration runs.
        """
        with self._link() as link:
            self._known(link)
            entries = journal.every_entry(link)
            given = tuple(early(link, entries))
            found = finish(link)
            with giving_back():
                give_back_early(link, entries)
        return found.model_copy(update={"done": (*given, *found.done)})

    def status(self, *, steps: int = 1, only: Collection[int] | None = None) -> MigrationStatus:
        """Return how the newest migrations stand, or only these, and what is kept; changes nothing."""
        with self._link() as link:
            found = read_status(link, self._connector.database, steps, only=only, budget_ms=self._budget_ms)
        using = tuple(
            one.model_copy(update={"query": self._redactor.text(one.query)}) for one in found.holders
        )
        return found.model_copy(update={"holders": using})

    def blockers(self) -> Blockers:
        """Return the sessions that wait for locks, and who blocks them; changes nothing."""
        with self._link() as link:
            found = waiting(link, self._redactor.text)
        return Blockers(database=self._connector.database, sessions=tuple(found))

    def end_blockers(self, found: Blockers) -> Blockers:
        """End the roots that were found; say what migrations have committed meanwhile."""
        roots = [one for one in found.sessions if one.depth == 0]
        with self._link() as link:
            ended, kept = end(link, roots)
            told: tuple[MigrationRecord, ...] = ()
            if journal.installed(link):
                oldest_s = max((one.seconds for one in roots), default=0)
                recent = [
                    one
                    for one in journal.migrations(link)
                    if one.state == "running" or one.state_age_s <= oldest_s + _CONNECT_S
                ]
                told = tuple(record(link, one) for one in recent)
        return found.model_copy(update={"ended": tuple(ended), "kept": kept, "migrations": told})

    def finalize(
        self,
        *,
        to: str | None,
        steps: int | None,
        undone: bool,
        window_s: float,
        now: bool,
        dry_run: bool,
        patience_s: float,
    ) -> Finalized:
        """Drop what the oldest migrations have hidden: those whose window is over, so many, or all up to a release.

        Raises:
            UsageError: There is no such release.
            NotPossible: The tables are in use, and stay so; or something is still due after an earlier way.
            Refused: A migration is in its window, or something needs what is hidden.
        """
        with self._link() as link:
            found = self._known(link)
            chosen = oldest(found, to=to, steps=steps, undone=undone, window_s=window_s, now=now)
            done = Dropped([], 0, 0, [], 0)
            if chosen:
                self._nothing_owed(link)
                with told("finalize"):
                    done = finalize(link, chosen, patience_s=patience_s, dry_run=dry_run)
        return Finalized(
            database=self._connector.database,
            migrations=tuple(one.id for one in chosen),
            dry_run=dry_run,
            seconds=round(done.seconds, 4),
            dropped=tuple(done.things),
            rows=done.rows,
            freed_bytes=done.freed_bytes,
            statements=tuple(done.statements),
        )

    def uninstall(self, *, patience_s: float) -> Uninstalled:
        """Take everything of the engine out of the database. Idempotent.

        Raises:
            NotPossible: The tables are in use, and stay so; or something is still due after an earlier way.
            Refused: Something is hidden, or something else hangs on the engine's schemas.
        """
        with self._link() as link:
            found = self._known(link)
            hidden = still_hidden(read(link))
            if found:
                hidden += [one.called for one in set_aside_rows(link)]
            if hidden:
                raise Refused(
                    msg("These are hidden, and are not dropped by this: {things}.", things=", ".join(hidden[:10])),
                    state=msg("Nothing was changed."),
                    next_command="backout db finalize --now --undone   # or first: backout db rollback",
                )  # fmt: skip
            self._nothing_owed(link)
            with told("uninstall"):
                statements = uninstall(link, patience_s=patience_s)
        return Uninstalled(
            database=self._connector.database, migrations=len(found), statements=tuple(statements)
        )

    def _nothing_owed(self, link: DirectLink) -> None:
        """Finish what earlier ways left to be done for the schema: afterwards the journal cannot tell it any more.

        Raises:
            NotPossible: It fails.
        """
        failed = finish(link, owed).unfinished
        if not failed:
            with giving_back():
                give_back_early(link, journal.every_entry(link))
        if failed:
            raise NotPossible(
                msg("This is still due, and failed: {statement}: {why}.", statement=failed[0].statement, why=failed[0].why),
                state=msg("Nothing was dropped."),
                next_command="backout db status",
            )  # fmt: skip

    def _known(self, link: DirectLink) -> list[Migration]:
        """Return the journal's migrations, none of which runs while the session lasts.

        Raises:
            RunInProgress: One runs.
        """
        if scalar(link, "SELECT pg_catalog.pg_is_in_recovery()") == "t":
            raise NotPossible(
                msg("This server is a standby: nothing can be changed here."),
                state=msg("Nothing was changed."),
                next_command="backout db status   # with --database of the primary server",
            )
        try:
            alone(link)
        except Busy as error:
            raise busy(error) from None
        return journal.migrations(link) if journal.installed(link) else []

    def _proven(self, link: Link, done: WayTaken, wanted: Shape, *, strict_order: bool) -> WayTaken:
        """Say whether the schema that a way has led to is the one that it had to lead to."""
        if done.dry_run or done.unfinished:
            return done
        try:
            same, whole = wanted.same(self._shape(link), strict_order=strict_order)
        except (BackoutError, LinkError):  # the way was taken, whether the database answers now or not
            return done
        return done.model_copy(update={"schema_same": same, "whole_same": whole})

    def _shape(self, link: Link) -> Shape:
        return Shape(self._fingerprint(), in_transaction(link, read_digests))

    def _fingerprint(self) -> str:
        """Return the schema as releases are recorded with it."""
        with self._session(autocommit=False) as connection:
            return read_schema(connection, None).fingerprint

    @contextmanager
    def _session(self, *, autocommit: bool = True) -> Iterator[psycopg.Connection[Any]]:
        """Open a session; where that fails, the next thing to type needs no configuration of backout."""
        try:
            with self._connector.session(_DAY_S, autocommit=autocommit) as connection:
                yield connection
        except BehindAPooler:
            raise
        except ConfigError as error:
            raise ConfigError(error.what, state=error.state, next_command=_SAY_WHERE) from None
        except (TargetUnreachable, CredentialsRefused) as error:
            if isinstance(error, CredentialsRefused) and error.next_command != DOCTOR:
                raise  # of one who came in, and may not do something
            raise type(error)(error.what, state=error.state, next_command=self._next) from None

    @contextmanager
    def _link(self) -> Iterator[DirectLink]:
        """Open a session, in a database whose journal can be trusted."""
        with self._session() as connection:
            try:
                link = DirectLink(connection)
                if found := strangers(link):
                    raise made_by_others(found)
                yield link
            except LinkError as error:
                raise refused(error, self._redactor) from None
