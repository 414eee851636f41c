"""Sessions of databases that are to be renamed: named, ended, and waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from backout.databases.postgres.cluster import Cluster
from backout.errors import BackoutError

if TYPE_CHECKING:
    import psycopg

_POLL_S = 0.005
_SWEEP_S = 0.02

# Autovacuum workers have no user; a rename ends those itself.
# Source: PostgreSQL 15, procarray.c, CountOtherDBBackends.
_SESSIONS = """
SELECT a.pid, d.datname::text, a.usename::text, coalesce(a.application_name, ''),
       NOT r.rolsuper AND (pg_has_role(a.usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))
         OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), r.rolsuper
FROM pg_stat_activity a JOIN pg_database d ON d.oid = a.datid JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.datid = ANY(%s::oid[]) AND a.pid <> ALL(%s::int[])
ORDER BY a.pid"""


class Session(NamedTuple):
    """One session of a database, and whether this role may end it."""

    pid: int
    database: str
    role: str
    application: str
    endable: bool
    superuser: bool

    def __str__(self) -> str:
        """Return it as people read it."""
        kind = "superuser" if self.superuser else "role"
        return f"pid {self.pid} {kind} {self.role} application {self.application!r}"


def sessions_of(
    connection: psycopg.Connection[Any], oids: Sequence[int], spare: Sequence[int] = ()
) -> list[Session]:
    """Return the sessions of these databases, but for those spared."""
    rows = connection.execute(_SESSIONS, (list(oids), list(spare))).fetchall()
    return [Session(*row) for row in rows]


def end_sessions(
    connection: psycopg.Connection[Any], oids: Sequence[int], spare: Sequence[int], within_s: float
) -> list[Session]:
    """End the sessions of these databases, and return those that are left when the time is over."""
    ends_s = time.monotonic() + within_s
    while True:
        left = sessions_of(connection, oids, spare)
        if not left or time.monotonic() >= ends_s:
            return left
        if not any(session.endable for session in left):
            return left
        _end(connection, left)
        time.sleep(_POLL_S)


@contextmanager
def sweeping(cluster: Cluster, oids: Sequence[int]) -> Iterator[None]:
    """Go on ending sessions of these databases while the body runs.

    A session that was let in just before the database was closed shows only a moment later, and would keep the
    rename waiting.
    """
    done = threading.Event()

    def sweep() -> None:
        with suppress(BackoutError), cluster.maintenance() as connection:
            ready.set()
            while not done.wait(_SWEEP_S):
                _end(connection, sessions_of(connection, oids))
        ready.set()

    ready = threading.Event()
    thread = threading.Thread(target=sweep, name="sessions", daemon=True)
    thread.start()
    ready.wait(5)
    try:
        yield
    finally:
        done.set()
        thread.join(10)


def _end(connection: psycopg.Connection[Any], sessions: Sequence[Session]) -> None:
    from psycopg import errors

    for session in sessions:
        if session.endable:
            # It stays in the list and is named at the end.
            with suppress(errors.InsufficientPrivilege):
                connection.execute("SELECT pg_terminate_backend(%s)", (session.pid,))
