"""Counts what is written, and makes a database refuse it. How that is spelled: `marks.py`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from backout.databases.postgres.by_hand import WRITES, psql
from backout.databases.postgres.connect import Connector
from backout.databases.postgres.marks import SETTING, TRUE, marks_for, read_back
from backout.databases.postgres.older_sessions import end_older_sessions
from backout.databases.postgres.passing import stopped_by_shutting, who_passes
from backout.databases.postgres.shutting import back_by_hand, check_can_shut, let_in, shut_now, shut_out
from backout.document import Json
from backout.errors import BackoutError, NotPossible, StepFailed, TargetUnreachable
from backout.faults import fault_point
from backout.message import msg
from backout.observed import CLOSED, KEEPS_WRITES_AWAY, REFUSE_CONNECTIONS, REFUSE_WRITES, Answer, HoldFact

if TYPE_CHECKING:
    import psycopg

    from backout.holds.base import Passing

MODES = KEEPS_WRITES_AWAY
_BACK_BY_HAND = "back_by_hand"
_ACT_DEADLINE_S = 30.0

_COUNT = """
SELECT coalesce(sum(pg_stat_get_tuples_inserted(oid) + pg_stat_get_tuples_updated(oid)
                    + pg_stat_get_tuples_deleted(oid)), 0)::bigint
FROM pg_class
WHERE (relkind IN ('r', 'm') AND relnamespace NOT IN (
         SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_' OR nspname = 'information_schema'))
   OR oid = 'pg_largeobject'::regclass"""

_PRIOR = """
SELECT split_part(entry, '=', 2) FROM pg_db_role_setting s, unnest(s.setconfig) entry
WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND s.setrole = 0 AND split_part(entry, '=', 1) = 'default_transaction_read_only'"""

_EXEMPT = """
SELECT pg_get_userbyid(s.setrole)::text FROM pg_db_role_setting s, unnest(s.setconfig) entry
WHERE s.setrole <> 0 AND split_part(entry, '=', 1) = 'default_transaction_read_only'
  AND (s.setdatabase = 0 OR s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND NOT split_part(entry, '=', 2)::boolean
  AND has_database_privilege(s.setrole, current_database(), 'CONNECT')
  AND NOT (SELECT rolsuper FROM pg_roles r WHERE r.oid = s.setrole)
ORDER BY 1"""


def count_writes(connection: psycopg.Connection[Any]) -> int:
    """Return the rows inserted, updated and deleted in user tables and large objects so far.

    Only differences mean anything. Tables are summed one by one, since the database's own counter also
    counts the system's rows: an automatic ANALYZE would look like a write. Rolled back rows count too;
    TRUNCATE does not, and what is not committed yet does not (see `writers`); dropping a table makes the sum smaller, so compare for "changed", not for "more".

    A session reports before it goes idle, at most once a second (up to PostgreSQL 14: twice a second,
    and the reader's copy may be half a second old), so **compare over a window of 1.5 s or more**. The
    last rows of a session that went idle within that second come up to 10 s later (up to 14: with its
    next statement or its end). Ending a session makes it report: after `hold` the count is complete.

    Source: PostgreSQL 15 documentation, 28.2.2 "Viewing Statistics"; pgstat.c: PGSTAT_MIN_INTERVAL 1000 ms,
    PGSTAT_IDLE_INTERVAL 10000 ms; PostgreSQL 14 pgstat.c: PGSTAT_STAT_INTERVAL 500 ms.
    """
    row = connection.execute(_COUNT).fetchone()
    return int(row[0]) if row else 0


class Closed(Protocol):
    """Knows whether a swap or a switch cut short has closed the database."""

    def observe(self, deadline_s: float, name: str, modes: tuple[str, ...]) -> HoldFact | None:
        """Return that as a hold; None: it has not."""
        ...

    def by_switch(self, deadline_s: float) -> bool:
        """Return whether it is a switch cut short that makes it refuse writes."""
        ...

    def release(self) -> bool:
        """Open what it has closed; return whether there was anything to open."""
        ...

    def forget_if_open(self) -> None:
        """Take the mark of a swap away where a person opened what it had closed. Idempotent."""
        ...


class RefuseWrites:
    """The means of holding by the database: new transactions are read-only, older sessions are ended.

    Whoever sets that default off itself writes on; where such writes arrive the mode `refuse_connections` keeps everybody out
    but superusers and backout's own role (`shutting.py`).

    It cannot stop a client that says `SET transaction_read_only = off` (or `BEGIN READ WRITE`) itself, a
    superuser, background workers (logical replication, pg_cron), `COMMIT PREPARED` of what was prepared
    before, sequences of other databases, nor other databases of the server. That no row arrives is for
    `count_writes` to show.

    Needs: to own the database, and to be a member of the service's role or of `pg_signal_backend`.
    """

    name = "database"

    def __init__(self, connector: Connector, closed: Closed | None = None) -> None:
        self._connector, self._closed = connector, closed

    def observe(self, deadline_s: float) -> HoldFact:
        """Return whether the database refuses writes by our hold, and the setting before it.

        A hold or a release that was cut short is `held` with no mode: some sessions are read-only and
        others are not. Either one, called again, finishes its work. A database that a swap cut short has
        closed, or a switch cut short for writes, is `held` with the mode `closed`.
        """
        try:
            fact = self._observe(deadline_s)
            if fact.held is Answer.YES and self._closed is not None and self._closed.by_switch(deadline_s):
                return fact.model_copy(update={"mode": CLOSED})
            return fact
        except TargetUnreachable:
            closed = self._closed.observe(deadline_s, self.name, MODES) if self._closed else None
            if closed is None:
                raise
            return closed

    def _observe(self, deadline_s: float) -> HoldFact:
        with self._connector.session(deadline_s) as connection:
            connection.read_only = True
            held, prior = read_back(_setting(connection))
            complete = held is Answer.YES and not _exempt(connection)
            shut = shut_now(connection)
            told: dict[str, Json] = {SETTING: prior}
            if shut is not None:
                told[_BACK_BY_HAND] = [*back_by_hand(connection, shut)]
        mode = REFUSE_WRITES if shut is None else REFUSE_CONNECTIONS
        return HoldFact(
            name=self.name,
            modes=MODES,
            held=Answer.NO if held is Answer.NO and shut is None else Answer.YES,
            mode=mode if complete else None,
            prior=told,
        )

    def who_passes(self, deadline_s: float) -> Passing:
        """Return who connects and writes although CONNECT is taken away."""
        with self._connector.session(deadline_s) as connection:
            connection.read_only = True
            return who_passes(connection)

    def hold(self, mode: str) -> None:
        """Make new transactions read-only and end the sessions that began before.

        With the mode `refuse_connections`, and where a role has a setting of its own that overrides the database's,
        CONNECT is taken away first. What was taken stays so until `release`.

        Idempotent: yes; a hold cut short is finished, the setting and the rights before it are kept.

        Raises:
            NotPossible: A role has its own setting and would keep CONNECT; or taking CONNECT would stop nobody, or could
                not be undone exactly.
            StepFailed: Sessions that may write could not be ended; they are named.
        """
        if mode not in MODES:
            raise ValueError(f"unknown mode {mode!r}")
        with self._connector.session(_ACT_DEADLINE_S, autocommit=True) as connection:
            shuts = self._has_exempt_roles(connection) or mode == REFUSE_CONNECTIONS
            if shuts and shut_now(connection) is None:
                check_can_shut(connection)
            _, prior = read_back(_setting(connection))
            marks = marks_for(prior)
            fault_point("database.hold.set.before")
            began = _set(connection, marks.beginning)
            fault_point("database.hold.set.after")
            if shuts:
                began = shut_out(connection)
            left = end_older_sessions(connection, began, "database.hold")
            if left:
                raise StepFailed(
                    msg("Sessions that may write could not be ended: {sessions}", sessions="; ".join(left)),
                    state=msg("New sessions of the database are read-only; the named ones may still write."),
                    next_command="backout doctor",
                )
            _set(connection, marks.held)
            fault_point("database.hold.mark.after")

    def release(self, prior: dict[str, Json]) -> None:
        """Give CONNECT back, put the setting back and end the sessions that began during the hold: they would stay read-only.

        Clients see one lost connection and can write again when they reconnect. What a swap cut short has
        closed is opened first.

        Idempotent: yes; where the setting already is the prior one nothing is done.

        Raises:
            StepFailed: Somebody changed the rights on the database meanwhile: it stays held. Or sessions could not be ended;
                they stay read-only until they reconnect.
        """
        try:
            self._release(prior)
        except TargetUnreachable:
            if self._closed is None or not self._closed.release():
                raise
            self._release(prior)
        if self._closed is not None:
            # Writes are let through by now; a mark that stays is taken away before the next drop.
            with suppress(BackoutError):
                self._closed.forget_if_open()

    def _release(self, prior: dict[str, Json]) -> None:
        value = prior.get(SETTING)
        wanted = value if isinstance(value, str) else None
        with self._connector.session(_ACT_DEADLINE_S, autocommit=True) as connection:
            let_in(connection)
            if _setting(connection) == wanted:
                return
            if wanted is None or wanted.lower() not in TRUE:
                fault_point("database.release.set.before")
                began = _set(connection, marks_for(wanted).ending)
                fault_point("database.release.set.after")
                left = end_older_sessions(connection, began, "database.release")
                if left:
                    raise StepFailed(
                        msg("Read-only sessions could not be ended: {sessions}", sessions="; ".join(left)),
                        state=msg(
                            "New sessions can write; the named ones stay read-only until they reconnect."
                        ),
                        next_command="backout doctor",
                    )
            _set(connection, wanted)
            fault_point("database.release.mark.after")

    def by_hand(self, mode: str | None, prior: dict[str, Json]) -> tuple[str, ...]:
        """Return the psql commands; they run in this order and hold no secret."""
        value = prior.get(SETTING)
        end = _psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        if mode is not None:
            marks = marks_for(value if isinstance(value, str) else None)
            shuts = _BY_HAND if mode == REFUSE_CONNECTIONS else ()
            return (_psql_alter(f"SET {SETTING} = {marks.held}"), *shuts, end)
        back = f"RESET {SETTING}" if not isinstance(value, str) else f"SET {SETTING} = {value}"
        rights = prior.get(_BACK_BY_HAND)
        let_in = () if not isinstance(rights, list) else (psql(*map(str, rights), options=WRITES),)
        return (*let_in, _psql_alter(back), end)

    @staticmethod
    def _has_exempt_roles(connection: psycopg.Connection[Any]) -> bool:
        """Return whether roles have a setting of their own; raises `NotPossible` where they would keep CONNECT."""
        roles = _exempt(connection)
        stopped = stopped_by_shutting(connection) if roles else []
        stay = [role for role in roles if role not in stopped]
        if stay:
            raise NotPossible(
                msg("Roles have a setting of their own that lets them write: {roles}", roles=", ".join(stay)),
                state=msg("Nothing was changed; the database still takes writes."),
                next_command=f'psql "$DATABASE_URL" -c "ALTER ROLE {stay[0]} RESET {SETTING}"',
            )
        return bool(roles)


def exempt_roles(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the roles whose own setting overrides the database's."""
    return _exempt(connection)


def _setting(connection: psycopg.Connection[Any]) -> str | None:
    row = connection.execute(_PRIOR).fetchone()
    return str(row[0]) if row else None


def _exempt(connection: psycopg.Connection[Any]) -> list[str]:
    return [str(row[0]) for row in connection.execute(_EXEMPT).fetchall()]


def _set(connection: psycopg.Connection[Any], value: str | None) -> object:
    """Make the database's setting this text (None: none), and return the server's time after it."""
    from psycopg import sql

    row = connection.execute("SELECT current_database()").fetchone()
    database = sql.Identifier(str(row[0]) if row else "")
    change = sql.SQL("RESET {}") if value is None else sql.SQL("SET {} = {}")
    parts = [sql.Identifier(SETTING)] if value is None else [sql.Identifier(SETTING), sql.Literal(value)]
    statement = sql.SQL("ALTER DATABASE {} ").format(database) + change.format(*parts)
    connection.execute(statement)
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    return row[0] if row else None


def _psql(statement: str) -> str:
    return f'{WRITES} -c "{statement}"'


def _psql_each(query: str) -> str:
    # \gexec lets the database name itself, so that the command can be typed as it stands.
    return f'echo "{query} \\gexec" | {WRITES}'


def _psql_alter(change: str) -> str:
    return _psql_each(f"SELECT format('ALTER DATABASE %I {change}', current_database())")


# What is taken by hand is given back by hand: so the rights are shown first.
_BY_HAND = (
    'psql "$DATABASE_URL" -c "SELECT datacl FROM pg_database WHERE datname = current_database()"   # write it down',
    _psql_each("SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), session_user)"),
    _psql_each(
        "SELECT format('REVOKE CONNECT ON DATABASE %I FROM %s CASCADE', d.datname, CASE x.grantee WHEN 0 THEN 'PUBLIC'"
        " ELSE quote_ident(pg_get_userbyid(x.grantee)) END) FROM pg_database d,"
        " aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x WHERE d.datname = current_database()"
        " AND x.privilege_type = 'CONNECT' AND pg_get_userbyid(x.grantee) <> session_user"
    ),
)
