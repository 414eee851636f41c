"""Makes a database that stands beside the live one the live one: two renames in one transaction.

A rename needs a database without sessions, and clients reconnect: so the live one takes no connections meanwhile.
That is the only time in which nobody can work, and it does not depend on the size. Until the transaction commits the
old database is the live one, afterwards the new one is; a kill in between leaves it closed, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from backout.backup import SwapOrder
from backout.databases.postgres.beside import Found, Mark, look, server_now, write_comment, write_mark
from backout.databases.postgres.blockers import swap_blockers, was_made
from backout.databases.postgres.carried import At, carry
from backout.databases.postgres.closing import alone, close, closed_by_swap, reopen
from backout.databases.postgres.cluster import Cluster, Named, named
from backout.databases.postgres.marks import SETTING
from backout.databases.postgres.pooler import pause, resume
from backout.databases.postgres.rights import comment_without_hold
from backout.databases.postgres.sequences import advance_sequences, read_sequences
from backout.databases.postgres.sessions import end_sessions, sweeping
from backout.errors import BackoutError, LostRace, NotPossible, StepFailed
from backout.faults import fault_point
from backout.message import msg

if TYPE_CHECKING:
    import psycopg

    from backout.databases.restores import Note

_END_WITHIN_S = 3.0
_REOPEN_WITHIN_S = 20.0
_RETRY_S = 0.1


def swap_state(cluster: Cluster, order: SwapOrder) -> bool | None:
    """Return True: the new database is live and open; False: the old one is; None: neither is open.

    Raises:
        LostRace: Databases have these names that the order does not know.
    """
    with cluster.maintenance() as connection:
        made = _made(connection, order)
        live = named(connection, order.live)[order.live]
    return made if live.accepts else None


def swap(cluster: Cluster, order: SwapOrder, *, note: Note) -> float:
    """Make `beside` live; return the seconds in which no one could write.

    Idempotent: a swap that was made is left as it is (and opened, if it is closed), one that was cut short is made.

    Raises:
        NotPossible: Something is in the way; all of it is named. Nothing was changed.
        StepFailed: It could not be made, and the live database is open again as it was.
    """
    with cluster.maintenance() as connection, alone(connection, order.live):
        if _made(connection, order):
            if not named(connection, order.live)[order.live].accepts:
                reopen(connection, order.live)
            resume(cluster, note)
            return 0.0
        _refuse(swap_blockers(connection, cluster, order), order)
        if closed_by_swap(connection, order.live) is not None:
            reopen(connection, order.live)  # its sequences can be read only through a session
        beside = look(connection, order.live, order.beside)[0]
        live = named(connection, order.live)[order.live]
        closed_s = _carry_out(cluster, connection, order, live, beside, note)
    note(msg("{live} took no connections for {closed_s:.2f} s", live=order.live, closed_s=closed_s))
    return closed_s


def _made(connection: psycopg.Connection[Any], order: SwapOrder) -> bool:
    """Return whether the renames were made, told by the databases' numbers."""
    there = named(connection, order.live, order.beside, order.kept)
    if was_made(order, there):
        return True
    live, beside = there.get(order.live), there.get(order.beside)
    if live is not None:
        known = order.live_oid in (None, live.oid)
        waiting = beside is not None and order.beside_oid in (None, beside.oid)
        if known and waiting:
            return False
    raise LostRace(
        msg(
            "{live} and {beside} are other databases than those that were to be swapped",
            live=order.live,
            beside=order.beside,
        ),
        state=msg("Nothing was changed."),
        next_command="backout status",
    )


def _refuse(blockers: tuple[object, ...], order: SwapOrder) -> None:
    if blockers:
        raise NotPossible(
            msg(
                "{beside} cannot take the place of {live}: {why}",
                beside=order.beside,
                live=order.live,
                why="; ".join(str(b) for b in blockers),
            ),
            state=msg("Nothing was changed; {live} is as it was.", live=order.live),
            next_command="backout status",
        )


def _carry_out(
    cluster: Cluster,
    connection: psycopg.Connection[Any],
    order: SwapOrder,
    live: Named,
    beside: Found,
    note: Note,
) -> float:
    began_s = ended_s = time.monotonic()
    with ExitStack() as own, _opened_again(cluster, order):
        sessions = [own.enter_context(cluster.inside(name)) for name in (order.live, order.beside)]
        pids = [session.info.backend_pid for session in sessions]
        oids = [live.oid, beside.oid]
        began_s = time.monotonic()
        pause(cluster)
        close(connection, order.live, live.oid, beside)
        _end_all(connection, order, oids, pids)
        if order.advance_sequences:
            fault_point("swap.sequences.before")
            advance_sequences(sessions[1], read_sequences(sessions[0]))
            fault_point("swap.sequences.after")
        for session in sessions:
            session.close()
        _end_all(connection, order, oids, [])
        with sweeping(cluster, oids):
            _rename(connection, order, live, beside)
        ended_s = time.monotonic()
    resume(cluster, note)
    return (ended_s if cluster.pooler is None else time.monotonic()) - began_s


def _end_all(
    connection: psycopg.Connection[Any], order: SwapOrder, oids: list[int], spare: list[int]
) -> None:
    fault_point("swap.end_sessions.before")
    left = end_sessions(connection, oids, spare, _END_WITHIN_S)
    fault_point("swap.end_sessions.after")
    if left:
        raise StepFailed(
            msg("Sessions could not be ended: {sessions}", sessions="; ".join(map(str, left))),
            state=msg("{live} is open again, as it was.", live=order.live),
            next_command="backout status",
        )


def _rename(connection: psycopg.Connection[Any], order: SwapOrder, live: Named, beside: Found) -> None:
    from psycopg import sql

    names = {name: sql.Identifier(name) for name in (order.live, order.beside, order.kept)}
    with connection.transaction():
        row = connection.execute(
            "SELECT shobj_description(%s, 'pg_database'), pg_current_xact_id()::text::bigint", (live.oid,)
        ).fetchone()
        comment, xid = row or (None, None)
        comment = comment_without_hold(comment)
        carry(order.beside, At(connection, beside.oid), At(connection, live.oid))
        fault_point("swap.rename.before")
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        connection.execute(rename.format(names[order.live], names[order.kept]))
        fault_point("swap.rename.between")
        connection.execute(rename.format(names[order.beside], names[order.live]))
        for name in (order.live, order.kept):
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(names[name]))
        read_only = sql.SQL("ALTER DATABASE {} SET {} = on")
        connection.execute(read_only.format(names[order.kept], sql.Identifier(SETTING)))
        write_comment(connection, order.live, comment)
        write_mark(
            connection,
            order.kept,
            Mark(
                state="kept",
                live=order.live,
                since=server_now(connection),
                run=beside.mark.run if beside.mark else None,
                keep_until=order.keep_until,
                swap_xid=xid,
                comment=comment,
            ),
        )
        fault_point("swap.commit.before")
    fault_point("swap.commit.after")


@contextmanager
def _opened_again(cluster: Cluster, order: SwapOrder) -> Iterator[None]:
    """Open the live database again when the body fails, unless what it did last came to its end all the same."""
    import psycopg

    try:
        yield
    except BaseException as error:
        if _settle(cluster, order, error):
            return  # only the answer was lost
        if cluster.pooler is not None:
            with suppress(BackoutError):
                resume(cluster)
        if isinstance(error, psycopg.Error):
            text = cluster.connector.redactor.text(" ".join(str(error).split()))
            raise StepFailed(
                msg("{live} was not swapped: {why}", live=order.live, why=text),
                state=msg("{live} is open again, as it was.", live=order.live),
                next_command="backout status",
            ) from None
        raise


def _settle(cluster: Cluster, order: SwapOrder, error: BaseException) -> bool:
    """Return whether the swap was made; if not, the live database is open again."""
    ends_s = time.monotonic() + _REOPEN_WITHIN_S
    while True:
        try:
            with cluster.maintenance() as connection:
                if closed_by_swap(connection, order.live) is not None:
                    reopen(connection, order.live)
                return _made(connection, order)
        except BackoutError as trouble:
            if time.monotonic() >= ends_s:
                raise StepFailed(
                    msg("The swap stopped ({error}), and {live} could not be opened again: {why}",
                        error=" ".join(str(error).split()), live=order.live, why=str(trouble.what)),
                    state=msg("Nobody can connect to {live} until the swap is made or it is opened.", live=order.live),
                    next_command="backout release-hold",
                ) from error  # fmt: skip
            time.sleep(_RETRY_S)
