"""Around a switch of the service to another database: what was used is closed for writes first, and kept afterwards.

No name changes; the other one may be on another server. From the moment in which the old database refuses writes until the service uses the new one nobody
can write; then the comments of both say which one is live (`beside.Mark`). A kill in between leaves the old one
refusing writes, as a hold by the database does, and the new one marked as `closing` it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from backout.backup import SwapOrder
from backout.databases.postgres.beside import (
    Found,
    Mark,
    look,
    read_mark,
    server_now,
    write_comment,
    write_mark,
)
from backout.databases.postgres.blockers import sequences_out_of_reach, slots_of, states, stays_behind
from backout.databases.postgres.carried import At, carry, refused
from backout.databases.postgres.closing import alone
from backout.databases.postgres.cluster import Both, Cluster, Named, named
from backout.databases.postgres.connect import APPLICATION_NAME
from backout.databases.postgres.marks import SETTING
from backout.databases.postgres.older_sessions import unendable
from backout.databases.postgres.rights import comment_without_hold
from backout.databases.postgres.sequences import advance_sequences, read_sequences
from backout.databases.postgres.server_fit import unfit_server
from backout.databases.postgres.sessions import end_sessions, sessions_of
from backout.databases.postgres.writes import RefuseWrites, exempt_roles
from backout.databases.restores import InTheWay
from backout.errors import BackoutError, LostRace, NotPossible
from backout.faults import fault_point
from backout.message import Message, msg
from backout.observed import REFUSE_WRITES

if TYPE_CHECKING:
    import psycopg

    from backout.databases.restores import Note

_END_WITHIN_S = 3.0
_LOOK_S = 8.0

_ROLE = "SELECT current_user::text, pg_is_in_recovery()"
_OWNERS = """
SELECT datname::text, pg_get_userbyid(datdba)::text FROM pg_database
WHERE oid = ANY(%s::oid[]) AND NOT pg_has_role(datdba, 'USAGE') ORDER BY 1"""
_COMMENT = "SELECT shobj_description(%s, 'pg_database')"
_XID = "SELECT pg_current_xact_id()::text::bigint"


def in_the_way_of_a_switch(cluster: Cluster) -> InTheWay:
    """Return what stands against any switch away from the live database now; changes nothing."""
    with cluster.both(cluster.live, None, _LOOK_S) as sessions:
        live = named(sessions.live, cluster.live).get(cluster.live)
        if live is None:
            return InTheWay((msg("There is no database {name}", name=cluster.live),), ())
        names = slots_of(sessions.live, live.name)
        found = [*_role(sessions.live, live), *stays_behind(sessions.live, [live.name], names)]
        if sessions.home is not None:
            with cluster.inside(live.name, _LOOK_S) as inside:
                found += unfit_server(inside, sessions.beside)
    return InTheWay((*found, *_writers(cluster, live)), names)


def switch_blockers(cluster: Cluster, order: SwapOrder) -> tuple[Message, ...]:
    """Return every reason against making the switch now; empty: none. Asks both databases; changes nothing."""
    with cluster.both(order.live, order.beside) as sessions:
        live, beside = _there(sessions, order)
        if live is None or beside is None:
            missing = [n for n, found in ((order.live, live), (order.beside, beside)) if found is None]
            return tuple(msg("There is no database {name}", name=name) for name in missing)
        found = [] if _unended(sessions, live, beside) else list(states(sessions, order, live, beside))
        for connection, here in sessions.of(live, beside):
            found += _role(connection, *here)
            found += stays_behind(connection, [one.name for one in here], order.accept_slots)
        if not found:
            found += refused(beside.name, At(sessions.beside, beside.oid), At(sessions.live, live.oid))
            found += sequences_out_of_reach(cluster, order, live, beside)
    return (*found, *_writers(cluster, live))


def begin_switch(cluster: Cluster, order: SwapOrder, *, held: bool, note: Note) -> None:
    """Let nobody write into the live database any more, and make the other one ready to be written. Idempotent.

    Raises:
        NotPossible: Something is in the way; all of it is named. Nothing was changed.
        StepFailed: Sessions could not be ended; the live database takes writes as before.
    """
    import psycopg

    with cluster.both(order.live, order.beside) as sessions, alone(sessions.live, order.live):
        live, beside = _both(sessions, order)
        _refuse(switch_blockers(cluster, order), order)
        if _unended(sessions, live, beside):
            _exchange(cluster, sessions.exchanged, order, beside, live)
        _mark_begun(sessions.beside, live, beside)
        try:
            RefuseWrites(cluster.connector.to(live.name)).hold(REFUSE_WRITES)
            note(
                msg(
                    "{live} refuses writes until the service uses {beside}",
                    live=live.name,
                    beside=beside.name,
                )
            )
            if order.advance_sequences:
                _carry_sequences(cluster, live, beside)
            # What was kept read-only is opened by this: it gets the settings of the live one, as they are without a hold.
            with sessions.beside.transaction():
                carry(beside.name, At(sessions.beside, beside.oid), At(sessions.live, live.oid))
        except (BackoutError, psycopg.Error):
            with suppress(BackoutError):
                _undo(cluster, sessions.beside, live, beside, held=held)
            raise
    fault_point("switch.begin.after")


def end_switch(cluster: Cluster, order: SwapOrder, *, held: bool) -> None:
    """Keep the old database, marked and read-only, and end the sessions that are left in it. Idempotent."""
    with cluster.both(order.live, order.beside) as sessions, alone(sessions.live, order.live):
        live, beside = _both(sessions, order)
        if _mark_of(sessions.beside, beside) is None and _mark_of(sessions.live, live) is not None:
            # Which one is live is as it should be: a switch the other way round had only begun.
            _undo(cluster, sessions.live, beside, live, held=held)
            return
        fault_point("switch.end.before")
        _exchange(cluster, sessions, order, live, beside)
        fault_point("switch.end.after")
        # what cannot be ended is told by `left_behind`
        end_sessions(sessions.live, [live.oid], [], _END_WITHIN_S)


def undo_switch(cluster: Cluster, order: SwapOrder, *, held: bool) -> None:
    """Let the live database be written again, unless the run itself holds it. Idempotent."""
    with cluster.both(order.live, order.beside) as sessions, alone(sessions.live, order.live):
        live, beside = _both(sessions, order)
        _undo(cluster, sessions.beside, live, beside, held=held)


def switch_ended(cluster: Cluster, order: SwapOrder) -> bool:
    """Return whether all comments say that `beside` is live, and nothing is half done."""
    with cluster.both(order.live, order.beside) as sessions:
        live, beside = _both(sessions, order)
        mark = _mark_of(sessions.live, live)
        if mark is None or mark.closing is not None or _mark_of(sessions.beside, beside) is not None:
            return False
    with _others(cluster, live, beside) as others:
        return not others


def left_behind(cluster: Cluster, deadline_s: float) -> tuple[str, ...]:
    """Name the sessions of clients in kept databases; ours, and those of superusers, are no clients."""
    there = []
    with cluster.everywhere(deadline_s) as servers:
        for connection, home in servers:
            beside = look(connection, cluster.live, home=home)
            kept = [f.oid for f in beside if f.mark and f.mark.state == "kept"]
            there += sessions_of(connection, kept)
    return tuple(str(s) for s in there if s.application != APPLICATION_NAME and not s.superuser)


def _unended(sessions: Both, live: Named, beside: Named) -> bool:
    """Return whether the service was switched from `beside` to `live`, and the comments do not say so yet."""
    mark, other = _mark_of(sessions.live, live), _mark_of(sessions.beside, beside)
    # On two servers one comment may be written before the other one.
    unmarked = other is None or (other.state == "kept" and other.live == live.name)
    return mark is not None and mark.closing == beside.oid and unmarked


def _there(sessions: Both, order: SwapOrder) -> tuple[Named | None, Named | None]:
    live = named(sessions.live, order.live).get(order.live)
    return live, named(sessions.beside, order.beside).get(order.beside)


def _both(sessions: Both, order: SwapOrder) -> tuple[Named, Named]:
    """Return both databases; raises `LostRace` where other ones have these names."""
    live, beside = _there(sessions, order)
    if (
        live is None
        or beside is None
        or order.live_oid not in (None, live.oid)
        or order.beside_oid not in (None, beside.oid)
    ):
        raise LostRace(
            msg("{live} and {beside} are other databases than those that were to be switched",
                live=order.live, beside=order.beside),
            state=msg("Nothing was changed."),
            next_command="backout status",
        )  # fmt: skip
    return live, beside


def _refuse(blockers: tuple[Message, ...], order: SwapOrder) -> None:
    if blockers:
        raise NotPossible(
            msg("{beside} cannot take the place of {live}: {why}", beside=order.beside, live=order.live,
                why="; ".join(str(b) for b in blockers)),
            state=msg("Nothing was changed; {live} is as it was.", live=order.live),
            next_command="backout status",
        )  # fmt: skip


def _role(connection: psycopg.Connection[Any], *databases: Named) -> Iterator[Message]:
    role, standby = connection.execute(_ROLE).fetchone() or ("", False)
    if standby:
        yield msg("This server is a standby")
    for name, owner in connection.execute(_OWNERS, ([d.oid for d in databases],)).fetchall():
        yield msg(
            "{role} may not make {name} read-only, nor mark it: {owner} owns it; GRANT {owner} TO {role}, as an "
            "administrator",
            role=role, name=name, owner=owner,
        )  # fmt: skip


def _writers(cluster: Cluster, live: Named) -> Iterator[Message]:
    """Name who could go on writing into a database that refuses writes."""
    if not live.accepts:
        return
    with cluster.inside(live.name) as connection:
        roles, sessions = exempt_roles(connection), unendable(connection)
    for role in roles:
        yield msg(
            "{role} has a setting of its own that lets it write: ALTER ROLE {role} RESET {setting}",
            role=role, setting=SETTING,
        )  # fmt: skip
    for session in sessions:
        yield msg("A session that may write cannot be ended by this role: {session}", session=session)


def _mark_begun(connection: psycopg.Connection[Any], live: Named, beside: Named) -> None:
    """Say on the database that shall be used that it closes the live one, and from which transaction on it is written."""
    mark = _mark_of(connection, beside)
    if mark is None or mark.closing is not None:
        return
    fault_point("switch.begin.before")
    with connection.transaction():
        row = connection.execute(_XID).fetchone()
        told = {"closing": live.oid, "switching": True, "swap_xid": row[0] if row else None}
        write_mark(connection, beside.name, mark.model_copy(update=told))


def _carry_sequences(cluster: Cluster, live: Named, beside: Named) -> None:
    fault_point("switch.sequences.before")
    with cluster.inside(live.name) as old, cluster.inside(beside.name) as new:
        advance_sequences(new, read_sequences(old))
    fault_point("switch.sequences.after")


def _exchange(cluster: Cluster, sessions: Both, order: SwapOrder, live: Named, beside: Named) -> None:
    """Make `beside` the live one by the comments, `live` the kept one, and tell all others whose they are. Idempotent.

    On one server both comments are one transaction. On two the old one is kept first: cut short in between, both have a mark.
    """
    begun, comment = _mark_of(sessions.beside, beside), comment_without_hold(_comment(sessions.live, live))
    before = read_mark(comment)
    comment = before.comment if before is not None else comment
    home = sessions.exchanged.home
    kept = Mark(
        state="kept",
        live=beside.name,
        since=server_now(sessions.live),
        run=begun.run if begun else None,
        keep_until=order.keep_until,
        swap_xid=begun.swap_xid if begun else None,
        comment=comment,
        home=home,
    )
    with sessions.beside.transaction():
        with sessions.live.transaction():
            write_mark(sessions.live, live.name, kept)
            _set_read_only(sessions.live, live.name)
        fault_point("switch.end.between")
        write_comment(sessions.beside, beside.name, comment)
    fault_point("switch.end.others")
    with _others(cluster, live, beside) as others:
        for connection, found in others:
            assert found.mark is not None
            told = {"live": beside.name, "home": cluster.home(beside.name, found.name)}
            write_mark(connection, found.name, found.mark.model_copy(update=told))


@contextmanager
def _others(
    cluster: Cluster, live: Named, beside: Named
) -> Iterator[list[tuple[psycopg.Connection[Any], Found]]]:
    """Give the databases whose marks say that `live` is the live one, but `beside`, each with a session to its server."""
    with cluster.everywhere(live=live.name) as servers:
        there = [(s.connection, f) for s in servers for f in look(s.connection, live.name, home=s.home)]
        yield [(c, f) for c, f in there if f.mark is not None and f.name != beside.name]


def _undo(
    cluster: Cluster, connection: psycopg.Connection[Any], live: Named, beside: Named, *, held: bool
) -> None:
    fault_point("switch.undo.before")
    if not held:
        means = RefuseWrites(cluster.connector.to(live.name))
        means.release(means.observe(_LOOK_S).prior)
    mark = _mark_of(connection, beside)
    if mark is not None:
        with connection.transaction():
            if mark.state == "kept":
                _set_read_only(connection, beside.name)
            write_mark(connection, beside.name, mark.model_copy(update={"closing": None, "switching": None}))
    fault_point("switch.undo.after")


def _set_read_only(connection: psycopg.Connection[Any], name: str) -> None:
    from psycopg import sql

    statement = sql.SQL("ALTER DATABASE {} SET {} = on")
    connection.execute(statement.format(sql.Identifier(name), sql.Identifier(SETTING)))


def _comment(connection: psycopg.Connection[Any], database: Named) -> str | None:
    row = connection.execute(_COMMENT, (database.oid,)).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def _mark_of(connection: psycopg.Connection[Any], database: Named) -> Mark | None:
    return read_mark(_comment(connection, database))
