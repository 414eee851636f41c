"""Ends the sessions of a database that began before it was held, or let go; names those out of our reach."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.connect import APPLICATION_NAME
from backout.faults import fault_point

if TYPE_CHECKING:
    import psycopg

# A session that waits for a slow disk ends only when the disk has answered.
_END_WITHIN_S = 30.0
# A session that began before the setting was made may become visible a moment after it.
_SETTLE_S = 0.3
_POLL_S = 0.05

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


def unendable(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the sessions of this database that may write and that we may not end, as people read them."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    return [_shown(s) for s in _old_sessions(connection, row[0] if row else None) if _matters(connection, s)]


def end_older_sessions(connection: psycopg.Connection[Any], began: object, area: str) -> list[str]:
    """End the sessions older than `began` (the server's time); returns those that are left and may write."""
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


def _end(connection: psycopg.Connection[Any], pid: int) -> None:
    from psycopg import errors

    try:
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
    except errors.InsufficientPrivilege:
        return  # it stays in the list and is named at the end
