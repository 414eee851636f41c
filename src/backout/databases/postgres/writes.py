"""Counts what is written, and makes a database refuse it. How that is spelled: `marks.py`."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from backout.databases.postgres.connect import APPLICATION_NAME, Connector
from backout.databases.postgres.marks import SETTING, TRUE, marks_for, read_back
from backout.document import Json
from backout.errors import BackoutError, NotPossible, StepFailed, TargetUnreachable
from backout.faults import fault_point
from backout.message import msg
from backout.observed import CLOSED, Answer, HoldFact

if TYPE_CHECKING:
    import psycopg

MODE = "refuse_writes"
_ACT_DEADLINE_S = 30.0
# A session that waits for a slow disk ends only when the disk has answered.
_END_WITHIN_S = 30.0
# A session that began before the setting was made may become visible a moment after it.
_SETTLE_S = 0.3
_POLL_S = 0.05

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
  AND NOT (SELECT rolsuper FROM pg_roles r WHERE r.oid = s.setrole)
ORDER BY 1"""

# Where backend_start is hidden from us the session counts as old. Parallel workers end with their leader,
# walsenders and autovacuum write nothing of the application.
_OLD_SESSIONS = """
SELECT a.pid, a.usename::text, coalesce(a.application_name, ''), r.rolsuper,
       pg_has_role(a.usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'),
       concat_ws(', ', a.state, 'waits for ' || a.wait_event_type || ' ' || a.wait_event,
                 'since ' || to_char(a.state_change AT TIME ZONE 'UTC', 'HH24:MI:SS"Z"'))
FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
  AND coalesce(a.backend_type, 'client backend') = 'client backend'
  AND NOT (a.application_name = %(own)s AND a.usename = session_user)
  AND coalesce(a.backend_start, '-infinity') < %(before)s
ORDER BY a.pid"""

_MAY_WRITE = """
SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND has_schema_privilege(%(role)s, n.oid, 'USAGE')
    AND has_table_privilege(%(role)s, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))"""


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
            closed = self._closed.observe(deadline_s, self.name, (MODE,)) if self._closed else None
            if closed is None:
                raise
            return closed

    def _observe(self, deadline_s: float) -> HoldFact:
        with self._connector.session(deadline_s) as connection:
            connection.read_only = True
            held, prior = read_back(_setting(connection))
            complete = held is Answer.YES and not _exempt(connection)
        return HoldFact(
            name=self.name,
            modes=(MODE,),
            held=Answer.NO if held is Answer.NO else Answer.YES,
            mode=MODE if complete else None,
            prior={SETTING: prior},
        )

    def hold(self, mode: str) -> None:
        """Make new transactions read-only and end the sessions that began before.

        Idempotent: yes; a hold cut short is finished, the setting before it is kept.

        Raises:
            NotPossible: A role has its own setting that overrides the database's.
            StepFailed: Sessions that may write could not be ended; they are named.
        """
        if mode != MODE:
            raise ValueError(f"unknown mode {mode!r}")
        with self._connector.session(_ACT_DEADLINE_S, autocommit=True) as connection:
            self._refuse_exempt_roles(connection)
            _, prior = read_back(_setting(connection))
            marks = marks_for(prior)
            fault_point("database.hold.set.before")
            began = _set(connection, marks.beginning)
            fault_point("database.hold.set.after")
            left = _end_sessions(connection, began, "database.hold")
            if left:
                raise StepFailed(
                    msg("Sessions that may write could not be ended: {sessions}", sessions="; ".join(left)),
                    state=msg("New sessions of the database are read-only; the named ones may still write."),
                    next_command="backout doctor",
                )
            _set(connection, marks.held)
            fault_point("database.hold.mark.after")

    def release(self, prior: dict[str, Json]) -> None:
        """Put the setting back and end the sessions that began during the hold: they would stay read-only.

        Clients see one lost connection and can write again when they reconnect. What a swap cut short has
        closed is opened first.

        Idempotent: yes; where the setting already is the prior one nothing is done.

        Raises:
            StepFailed: Sessions could not be ended; they stay read-only until they reconnect.
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
            if _setting(connection) == wanted:
                return
            if wanted is None or wanted.lower() not in TRUE:
                fault_point("database.release.set.before")
                began = _set(connection, marks_for(wanted).ending)
                fault_point("database.release.set.after")
                left = _end_sessions(connection, began, "database.release")
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
            return (_psql_alter(f"SET {SETTING} = {marks.held}"), end)
        back = f"RESET {SETTING}" if not isinstance(value, str) else f"SET {SETTING} = {value}"
        return (_psql_alter(back), end)

    @staticmethod
    def _refuse_exempt_roles(connection: psycopg.Connection[Any]) -> None:
        roles = _exempt(connection)
        if roles:
            raise NotPossible(
                msg(
                    "Roles have a setting of their own that lets them write: {roles}", roles=", ".join(roles)
                ),
                state=msg("Nothing was changed; the database still takes writes."),
                next_command=f'psql "$DATABASE_URL" -c "ALTER ROLE {roles[0]} RESET {SETTING}"',
            )


def unendable(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the sessions of this database that may write and that we may not end, as people read them."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    return [_shown(s) for s in _old_sessions(connection, row[0] if row else None) if _matters(connection, s)]


def exempt_roles(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the roles whose own setting overrides the database's."""
    return _exempt(connection)


@dataclass(frozen=True, slots=True)
class _Session:
    pid: int
    role: str
    application: str
    superuser: bool
    endable: bool
    doing: str


def _old_sessions(connection: psycopg.Connection[Any], before: object) -> list[_Session]:
    rows = connection.execute(_OLD_SESSIONS, {"own": APPLICATION_NAME, "before": before}).fetchall()
    return [_Session(*row) for row in rows]


def _matters(connection: psycopg.Connection[Any], session: _Session) -> bool:
    """Return whether a session is out of our reach and could write (superusers are documented, not named)."""
    if session.superuser or session.endable:
        return False
    row = connection.execute(_MAY_WRITE, {"role": session.role}).fetchone()
    return bool(row and row[0])


def _shown(session: _Session) -> str:
    return f"pid {session.pid} role {session.role} application {session.application!r}"


def _end_sessions(connection: psycopg.Connection[Any], began: object, area: str) -> list[str]:
    """End the sessions older than `began`; returns those that are left and matter."""
    fault_point(f"{area}.end_sessions.before")
    deadline_s = time.monotonic() + _END_WITHIN_S
    quiet_since_s: float | None = None
    while True:
        sessions = _old_sessions(connection, began)
        within_reach = [s for s in sessions if s.endable and not s.superuser]
        now_s = time.monotonic()
        if within_reach:
            quiet_since_s = None
            for session in within_reach:
                _end(connection, session.pid)
        else:
            quiet_since_s = now_s if quiet_since_s is None else quiet_since_s
        if now_s >= deadline_s or (quiet_since_s is not None and now_s - quiet_since_s >= _SETTLE_S):
            break
        time.sleep(_POLL_S)
    fault_point(f"{area}.end_sessions.after")
    left = [s for s in sessions if s in within_reach or _matters(connection, s)]
    return [f"{_shown(s)} ({s.doing})" if s.doing else _shown(s) for s in left]


def _end(connection: psycopg.Connection[Any], pid: int) -> None:
    from psycopg import errors

    try:
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
    except errors.InsufficientPrivilege:
        return  # it stays in the list and is named at the end


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
    return f'PGOPTIONS="-c {SETTING}=off" psql "$DATABASE_URL" -c "{statement}"'


def _psql_alter(change: str) -> str:
    # \gexec lets the database name itself, so that the command can be typed as it stands.
    statement = f"SELECT format('ALTER DATABASE %I {change}', current_database()) \\gexec"
    return f'echo "{statement}" | PGOPTIONS="-c {SETTING}=off" psql "$DATABASE_URL"'
