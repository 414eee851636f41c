"""A database that a swap closes: how it is told from one that somebody else closed, and how it is opened again.

While it is closed, the database that shall take its place says so in its comment (`closing`), written in the
transaction that closes: a kill at any place leaves either both or none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.beside import Found, look, write_mark
from backout.databases.postgres.by_hand import psql, quoted
from backout.databases.postgres.carried import At, settings_of
from backout.databases.postgres.cluster import ACT_DEADLINE_S, SWAP_LOCK, Cluster, locked, named, try_lock
from backout.databases.postgres.marks import SETTING
from backout.databases.postgres.pooler import resume
from backout.errors import RunInProgress
from backout.faults import fault_point
from backout.message import msg
from backout.observed import CLOSED, Answer, HoldFact

if TYPE_CHECKING:
    import psycopg

_NAME_NUMBER = "SELECT hashtext(%s)::bigint & 4294967295"


@contextmanager
def alone(connection: psycopg.Connection[Any], live: str) -> Iterator[None]:
    """Let no second swap or reopening of that database go on at the same time.

    Raises:
        RunInProgress: Another session has it.
    """
    row = connection.execute(_NAME_NUMBER, (live,)).fetchone()
    number = int(row[0]) if row else 0
    if not try_lock(connection, SWAP_LOCK, number):
        pid = locked(connection, SWAP_LOCK).get(number)
        raise RunInProgress(
            msg("Somebody else swaps or opens {live} right now (session {pid})", live=live, pid=pid),
            state=msg("Nothing was changed by this one."),
            next_command="backout status",
        )
    try:
        yield
    finally:
        if not connection.closed and not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s::bigint)", (SWAP_LOCK << 32 | number,))


def close(connection: psycopg.Connection[Any], live: str, live_oid: int, beside: Found) -> None:
    """Let nobody connect to the live database any more, and say so in the comment of the one beside it."""
    from psycopg import sql

    assert beside.mark is not None
    fault_point("swap.close.before")
    with connection.transaction():
        write_mark(connection, beside.name, beside.mark.model_copy(update={"closing": live_oid}))
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(live)))
    fault_point("swap.close.after")


def reopen(connection: psycopg.Connection[Any], live: str) -> None:
    """Let people connect to the live database again, and take the marks of the swap away. Idempotent."""
    from psycopg import sql

    fault_point("swap.reopen.before")
    with connection.transaction():
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(live)))
        _forget(connection, live)
    fault_point("swap.reopen.after")


def forget_if_open(connection: psycopg.Connection[Any], live: str, beside: str | None) -> None:
    """Take the marks of a swap cut short away where a person opened the live database meanwhile. Idempotent.

    Raises:
        RunInProgress: The swap still goes on.
    """
    if not any(_closes(found) for found in look(connection, live, beside)):
        return
    with alone(connection, live):
        database = named(connection, live).get(live)
        if database is not None and database.accepts:
            fault_point("swap.forget.before")
            with connection.transaction():
                _forget(connection, live)
            fault_point("swap.forget.after")


def _forget(connection: psycopg.Connection[Any], live: str) -> None:
    for found in look(connection, live):
        if found.mark is not None and _closes(found):
            write_mark(connection, found.name, found.mark.model_copy(update={"closing": None}))


def _closes(found: Found) -> bool:
    """Whether a swap with it was cut short; a switch is another matter: the live database is open meanwhile."""
    return found.mark is not None and found.mark.closing is not None and not found.mark.switching


def closed_by_swap(connection: psycopg.Connection[Any], live: str) -> Found | None:
    """Return the database whose swap closed the live one, if that is why it is closed."""
    database = named(connection, live).get(live)
    if database is None or database.accepts:
        return None
    for found in look(connection, live):
        if found.mark is not None and found.mark.closing == database.oid:
            return found
    return None


class ClosedBySwap:
    """The part of holding that a swap cut short leaves behind: nobody can connect to the live database.

    After a switch cut short everybody can, and nobody can write: that is told here, and let go as any hold is.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def observe(self, deadline_s: float, name: str, modes: tuple[str, ...]) -> HoldFact | None:
        """Return the hold that a swap cut short has left behind; None: there is none."""
        live = self._cluster.live
        with self._cluster.maintenance(deadline_s) as connection:
            if closed_by_swap(connection, live) is None:
                return None
            prior = settings_of(At(connection, named(connection, live)[live].oid)).get(("", SETTING))
        return HoldFact(name=name, modes=modes, held=Answer.YES, mode=CLOSED, prior={SETTING: prior})

    def by_switch(self, deadline_s: float) -> bool:
        """Return whether a switch away from the live database was begun, and neither made nor undone."""
        live = self._cluster.live
        with self._cluster.everywhere(deadline_s) as servers:
            there = named(servers[0].connection, live)
            beside = [f for connection, home in servers for f in look(connection, live, home=home)]
            return any(f.mark and f.mark.closing == there[live].oid for f in beside)

    def release(self) -> bool:
        """Open the live database again if a swap cut short has closed it; return whether it had.

        Raises:
            RunInProgress: The swap still goes on.
        """
        live = self._cluster.live
        with self._cluster.maintenance(ACT_DEADLINE_S) as connection, alone(connection, live):
            if closed_by_swap(connection, live) is None:
                return False
            reopen(connection, live)
        resume(self._cluster)
        return True

    def forget_if_open(self, beside: str | None = None) -> None:
        """Take the mark of a swap cut short (with `beside`; None: with any) away where a person opened the live database."""
        with self._cluster.maintenance(ACT_DEADLINE_S) as connection:
            forget_if_open(connection, self._cluster.live, beside)

    def by_hand(self) -> str:
        """Return the command that opens it."""
        statement = f"ALTER DATABASE {quoted(self._cluster.live)} ALLOW_CONNECTIONS true"
        return psql(statement, options=f"psql -d {self._cluster.maintenance_name}")
