"""Tries what a rollback would need of PostgreSQL, touching nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backout.clock import Clock
from backout.databases.postgres.connect import Connector
from backout.databases.postgres.marks import SETTING
from backout.databases.postgres.older_sessions import unendable
from backout.databases.postgres.passing import stopped_by_shutting, who_would_pass
from backout.databases.postgres.shutting import grantors_out_of_reach
from backout.databases.postgres.writes import exempt_roles
from backout.errors import BackoutError
from backout.message import Message, msg
from backout.platforms.base import Diagnosis

if TYPE_CHECKING:
    import psycopg

_OLDEST_MAJOR = 13
_SKEW_LIMIT_S = 5.0
_SLOTS_NEEDED = 3
_DEADLINE_S = 5.0
_SUBJECT = "database"

_FACTS = """
SELECT current_setting('server_version_num')::int / 10000,
       pg_is_in_recovery(),
       pg_has_role(d.datdba, 'USAGE'),
       d.datname::text, pg_get_userbyid(d.datdba)::text, current_user::text,
       clock_timestamp(),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - (SELECT count(*)::int FROM pg_stat_activity
            WHERE coalesce(backend_type, 'client backend') = 'client backend')
FROM pg_database d WHERE d.datname = current_database()"""


def diagnose(connector: Connector, clock: Clock) -> Iterator[Diagnosis]:
    """Yield one line for each thing that a rollback would need of the database."""
    try:
        with connector.session(_DEADLINE_S) as connection:
            connection.read_only = True
            # Collected inside: the connection's errors become a line too, and it is closed before we yield.
            lines = list(_look(connection, clock))
    except BackoutError as error:
        lines = [
            Diagnosis(
                subject=_SUBJECT,
                ok=False,
                evidence=error.what,
                remedy="check `database.url`, the server, the network: psql \"$DATABASE_URL\" -c 'SELECT 1'",
            )
        ]
    yield from lines


def _look(connection: psycopg.Connection[Any], clock: Clock) -> Iterator[Diagnosis]:
    asked_at = clock.now()
    row = connection.execute(_FACTS).fetchone()
    answered_at = clock.now()
    if row is None:
        return
    major, recovery, owner, database, owner_role, role, server_now, free = row
    yield _version(major)
    yield _recovery(recovery)
    yield _ownership(owner, database, owner_role, role)
    yield _sessions(connection, role)
    yield _overrides(connection, owner)
    if owner:
        yield _shutting(connection, role)
    yield _skew(asked_at, answered_at, server_now)
    yield _slots(free)


def _line(ok: bool, evidence: Message, remedy: str) -> Diagnosis:
    return Diagnosis(subject=_SUBJECT, ok=ok, evidence=evidence, remedy=None if ok else remedy)


def _version(major: int) -> Diagnosis:
    evidence = msg(
        "Connects; PostgreSQL {major} (needs {oldest} or newer)", major=major, oldest=_OLDEST_MAJOR
    )
    return _line(major >= _OLDEST_MAJOR, evidence, "upgrade the server")


def _recovery(recovery: bool) -> Diagnosis:
    evidence = msg("Is a standby: nothing can be written to it") if recovery else msg("Is not a standby")
    return _line(not recovery, evidence, "let `database.url` name the primary")


def _ownership(owner: bool, database: str, owner_role: str, role: str) -> Diagnosis:
    evidence = (
        msg("{role} may make {database} refuse writes", role=role, database=database)
        if owner
        else msg(
            "{role} may not make {database} refuse writes: {owner} owns it",
            role=role,
            database=database,
            owner=owner_role,
        )
    )
    return _line(owner, evidence, f'psql -c "GRANT {owner_role} TO {role}" (as an administrator)')


def _sessions(connection: psycopg.Connection[Any], role: str) -> Diagnosis:
    left = unendable(connection)
    evidence = (
        msg("May not end these sessions, which may write: {sessions}", sessions="; ".join(left))
        if left
        else msg("May end every session that could write now")
    )
    return _line(not left, evidence, f'psql -c "GRANT pg_signal_backend TO {role}" (as an administrator)')


def _overrides(connection: psycopg.Connection[Any], owner: bool) -> Diagnosis:
    exempt = exempt_roles(connection)
    stopped = stopped_by_shutting(connection) if owner else []
    roles = [role for role in exempt if role not in stopped]
    evidence = msg("No role has a setting of its own that would let it write during a hold")
    if roles:
        evidence = msg(
            "These roles have a setting of their own and would go on writing: {roles}", roles=", ".join(roles)
        )
    elif exempt:
        evidence = msg(
            "These roles have a setting of their own, so a hold takes CONNECT away at once: {roles}",
            roles=", ".join(exempt),
        )
    return _line(
        not roles,
        evidence,
        f'psql "$DATABASE_URL" -c "ALTER ROLE {roles[0] if roles else ""} RESET {SETTING}"',
    )


def _shutting(connection: psycopg.Connection[Any], role: str) -> Diagnosis:
    lacking = grantors_out_of_reach(connection)
    evidence = (
        msg(
            "CONNECT cannot be taken away where writes arrive during a hold: {role} could not give back what "
            "{grantors} granted",
            role=role,
            grantors=", ".join(lacking),
        )
        if lacking
        else msg(
            "CONNECT can be taken away where writes arrive during a hold; {who}",
            who=str(who_would_pass(connection)),
        )
    )
    remedy = f'psql -c "GRANT {lacking[0] if lacking else ""} TO {role}" (as an administrator)'
    return _line(not lacking, evidence, remedy)


def _skew(asked_at: datetime, answered_at: datetime, server_now: datetime) -> Diagnosis:
    early, late = (asked_at - server_now).total_seconds(), (server_now - answered_at).total_seconds()
    skew_s = max(early, late, 0.0)
    evidence = msg(
        "Clocks differ by {skew_s:.1f} s (at most {limit_s:.0f} s)", skew_s=skew_s, limit_s=_SKEW_LIMIT_S
    )
    return _line(skew_s <= _SKEW_LIMIT_S, evidence, "set both clocks by NTP")


def _slots(free: int) -> Diagnosis:
    evidence = msg("{free} connections are free (needs {needed})", free=free, needed=_SLOTS_NEEDED)
    return _line(free >= _SLOTS_NEEDED, evidence, "raise max_connections, or make the service's pool smaller")
