"""Who connects all the same when CONNECT on a database is taken away, and whom that stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backout.databases.postgres.by_hand import psql, quoted
from backout.databases.postgres.connect import APPLICATION_NAME
from backout.databases.postgres.sessions import sessions_of
from backout.holds.base import Passing
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg

# Backout's own role keeps CONNECT, and so do those that have its rights; of a superuser no right is asked.
_ROLES = """
SELECT r.rolname::text, r.rolsuper,
       NOT own.rolsuper AND pg_has_role(r.oid, own.oid, 'USAGE') AND NOT r.rolsuper,
       has_database_privilege(r.oid, current_database(), 'CONNECT')
FROM pg_roles r, pg_roles own WHERE own.rolname = session_user AND r.rolcanlogin ORDER BY r.rolname <> session_user, 1"""
_DATABASE = """
SELECT d.oid::bigint, pg_get_userbyid(d.datdba)::text, session_user::text
FROM pg_database d WHERE d.datname = current_database()"""


def stopped_by_shutting(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the roles that can connect now, and could not without CONNECT."""
    rows = connection.execute(_ROLES).fetchall()
    return [role for role, superuser, ours, connects in rows if connects and not superuser and not ours]


def who_would_pass(connection: psycopg.Connection[Any]) -> Message:
    """Return the beginning of a sentence that names the roles that connect although CONNECT is taken away."""
    rows = connection.execute(_ROLES).fetchall()
    superusers, ours = [r[0] for r in rows if r[1]], [r[0] for r in rows if r[2]]
    _, owner, _ = connection.execute(_DATABASE).fetchone() or (0, "", "")
    who = msg("superusers ({superusers}) pass", superusers=", ".join(superusers))
    if ours:
        who = msg("{who}, and backout's own role and who has its rights ({ours})", who=str(who), ours=", ".join(ours))  # fmt: skip
    if owner not in (*ours, *superusers):
        who = msg("{who}; the owner {owner} can give itself CONNECT again", who=str(who), owner=owner)
    return who


def who_passes(connection: psycopg.Connection[Any]) -> Passing:
    """Return who connects although CONNECT is taken away, and what to type where the application is known to."""
    who, ours = who_would_pass(connection), {r[0] for r in connection.execute(_ROLES).fetchall() if r[2]}
    oid, _, own = connection.execute(_DATABASE).fetchone() or (0, "", "")
    others = sessions_of(connection, [oid], [connection.info.backend_pid])
    there = [s for s in others if (s.application, s.role) != (APPLICATION_NAME, own)]
    if there:
        who = msg("{who}. Connected now: {sessions}", who=str(who), sessions="; ".join(map(str, there)))
    shared = any(s.role in ours for s in there)
    return Passing(who=who, next_command=_own_role(own) if shared else None)


def _own_role(own: str) -> str:
    """Return how backout gets a role of its own, so that it does not share the application's."""
    command = psql(f"CREATE ROLE backout LOGIN IN ROLE {quoted(own)}", "\\password backout")
    return f"{command}   # as an administrator; let database.url name that role, then: backout hold"
