"""What would keep a swap from being made now, or would end with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backout.backup import SwapOrder
from backout.databases.postgres.beside import Found, look
from backout.databases.postgres.carried import At, refused
from backout.databases.postgres.closing import closed_by_swap
from backout.databases.postgres.cluster import Both, Cluster, Named, named
from backout.databases.postgres.sequences import sequences_without_right
from backout.databases.postgres.sessions import sessions_of
from backout.databases.restores import InTheWay
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg

_LONGEST_NAME = 63

_ROLE = """
SELECT current_user::text, rolcreatedb OR rolsuper, pg_is_in_recovery() FROM pg_roles WHERE rolname = current_user"""

_OWNERS = """
SELECT datname::text, pg_get_userbyid(datdba)::text, pg_has_role(datdba, 'USAGE'), datistemplate
FROM pg_database WHERE oid = ANY(%s::oid[]) ORDER BY 1"""

_PREPARED = (
    "SELECT gid, owner::text, database::text FROM pg_prepared_xacts WHERE database = ANY(%s) ORDER BY 1"
)

_SLOTS = """
SELECT slot_name::text, database::text, 'logical slot' FROM pg_replication_slots
WHERE slot_type = 'logical' AND database = ANY(%(names)s)
UNION ALL
SELECT s.subname::text, d.datname::text, 'subscription'
FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = ANY(%(names)s)
ORDER BY 1"""


def swap_blockers(
    connection: psycopg.Connection[Any], cluster: Cluster, order: SwapOrder
) -> tuple[Message, ...]:
    """Return every reason against making the swap now; empty: none. Asks both databases; changes nothing."""
    there = named(connection, order.live, order.beside, order.kept)
    if was_made(order, there):
        return ()  # also one that undoes a swap cut short before its renames: it has only to be opened
    found = list(_names(cluster, order, there))
    live, beside = there.get(order.live), there.get(order.beside)
    if found or live is None or beside is None:
        return tuple(found)
    found += states(Both(connection, connection, None), order, live, beside)
    found += _role(connection, live, beside)
    found += stays_behind(connection, [order.live, order.beside], order.accept_slots)
    found += _sessions(connection, live, beside)
    if not found:
        found += refused(order.beside, At(connection, beside.oid), At(connection, live.oid))
        found += sequences_out_of_reach(cluster, order, live, beside)
    return tuple(found)


def was_made(order: SwapOrder, there: dict[str, Named]) -> bool:
    """Return whether the names are as the swap leaves them, told by the databases' numbers."""
    live, kept = there.get(order.live), there.get(order.kept)
    if live is None:
        return False
    if order.beside_oid is not None:
        return live.oid == order.beside_oid
    return kept is not None and kept.oid == order.live_oid


def slots_of(connection: psycopg.Connection[Any], database: str) -> tuple[str, ...]:
    """Return the names of a database's logical slots and subscriptions."""
    return tuple(str(row[0]) for row in connection.execute(_SLOTS, {"names": [database]}).fetchall())


def in_the_way(connection: psycopg.Connection[Any], cluster: Cluster) -> InTheWay:
    """Return what stands against any swap of the live database now; changes nothing."""
    live = named(connection, cluster.live).get(cluster.live)
    if live is None:
        return InTheWay((msg("There is no database {name}", name=cluster.live),), ())
    names = slots_of(connection, cluster.live)
    found = [
        *_role(connection, live, live),
        *stays_behind(connection, [live.name], names),
        *_sessions(connection, live, live),
    ]
    return InTheWay(tuple(found), names)


def _names(cluster: Cluster, order: SwapOrder, there: dict[str, Named]) -> Iterator[Message]:
    for name in (order.live, order.beside):
        if name not in there:
            yield msg("There is no database {name}", name=name)
    if order.kept in there:
        yield msg("There is a database {name} already", name=order.kept)
    if len(order.kept.encode()) > _LONGEST_NAME:
        yield msg("{name} is too long for the name of a database", name=order.kept)
    if cluster.maintenance_name in (order.live, order.beside):
        yield msg(
            "{name} is also the maintenance database: name another one (database.maintenance_database)",
            name=cluster.maintenance_name,
        )


def states(sessions: Both, order: SwapOrder, live: Named, beside: Named) -> Iterator[Message]:
    """Say whether one of them is not in a state to become, or to be, the live one."""
    there = look(sessions.beside, order.live, order.beside, home=sessions.home)
    found: Found | None = next(iter(there), None)
    if found is None or found.mark is None:
        yield msg(
            "{name} is not a database that backout made beside {live}", name=order.beside, live=order.live
        )
    elif found.mark.state not in ("restored", "kept"):
        yield msg("{name} is not whole: {state}", name=order.beside, state=found.mark.state)
    if not live.accepts and closed_by_swap(sessions.live, order.live) is None:
        yield msg("{name} takes no connections, and it was not backout that closed it", name=order.live)
    if not beside.accepts:
        yield msg("{name} takes no connections", name=order.beside)


def _role(connection: psycopg.Connection[Any], live: Named, beside: Named) -> Iterator[Message]:
    row = connection.execute(_ROLE).fetchone()
    role, may_create, standby = row or ("", False, False)
    if standby:
        yield msg("This server is a standby")
    if not may_create:
        yield msg(
            "{role} may not rename databases: ALTER ROLE {role} CREATEDB, as an administrator", role=role
        )
    for name, owner, mine, template in connection.execute(_OWNERS, ([live.oid, beside.oid],)).fetchall():
        if not mine:
            yield msg("{role} may not rename {name}: {owner} owns it", role=role, name=name, owner=owner)
        if template:
            yield msg("{name} is a template", name=name)


def stays_behind(
    connection: psycopg.Connection[Any], names: list[str], accepted: tuple[str, ...]
) -> Iterator[Message]:
    """Name what belongs to one of these databases of a server, and would stay with it."""
    for gid, owner, database in connection.execute(_PREPARED, (names,)).fetchall():
        yield msg(
            "Prepared transaction {gid} of {owner} is open in {database}: COMMIT PREPARED or ROLLBACK PREPARED first",
            gid=gid, owner=owner, database=database,
        )  # fmt: skip
    for name, database, kind in connection.execute(_SLOTS, {"names": names}).fetchall():
        if name not in accepted:
            yield msg(
                "{kind} {name} belongs to {database} and would stay with the old database: drop it, or accept it by name",
                kind=kind.capitalize(), name=name, database=database,
            )  # fmt: skip


def _sessions(connection: psycopg.Connection[Any], live: Named, beside: Named) -> Iterator[Message]:
    for session in sessions_of(connection, [live.oid, beside.oid]):
        if not session.endable:
            yield msg(
                "A session of {database} cannot be ended by this role: {session}",
                database=session.database, session=str(session),
            )  # fmt: skip


def sequences_out_of_reach(
    cluster: Cluster, order: SwapOrder, live: Named, beside: Named
) -> Iterator[Message]:
    """Name the sequences that cannot be read there, or set here."""
    if not order.advance_sequences:
        return
    for database, right in ((live, "USAGE, SELECT"), (beside, "UPDATE")):
        if not database.accepts:
            continue  # a swap that was cut short has closed it; it looked when it began
        with cluster.inside(database.name) as connection:
            lacking = sequences_without_right(connection, right)
        if lacking:
            yield msg(
                "Sequences of {database} cannot be carried over, the right {right} is lacking: {sequences}",
                database=database.name, right=right, sequences=", ".join(lacking[:10]),
            )  # fmt: skip
