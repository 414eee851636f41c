"""Databases that stand beside the live one. What one is, its own comment says: nowhere else is it kept.

The comment (`COMMENT ON DATABASE`) is `backout ` and JSON. It is shared by the whole server: the maintenance
database reads and writes it also while nobody can connect to the database that it is about.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import ValidationError

from backout.backup import BesideDatabase, BesideState
from backout.databases.postgres.cluster import ACT_DEADLINE_S, RESTORE_LOCK, Cluster, locked, named
from backout.databases.postgres.marks import read_back, setting_of
from backout.document import Document
from backout.errors import Refused
from backout.faults import fault_point
from backout.message import msg
from backout.observed import Answer

if TYPE_CHECKING:
    import psycopg

_WORD = "backout "
_UNFINISHED = re.compile(r"_(restored|prepared)_\d{8}_\d{6}$")
_LONG_MS = 3_600_000

_LIST = """
SELECT d.oid::bigint, d.datname::text, d.datallowconn, shobj_description(d.oid, 'pg_database'),
       CASE WHEN %(sizes)s AND (has_database_privilege(d.oid, 'CONNECT')
                                OR pg_has_role('pg_read_all_stats', 'USAGE'))
            THEN pg_database_size(d.oid) END
FROM pg_database d
WHERE (%(name)s::text IS NULL OR d.datname = %(name)s) AND d.datname <> %(live)s AND NOT d.datistemplate
ORDER BY d.oid"""


class Mark(Document):
    """What the comment of a database beside the live one says.

    Attributes:
        live: Name of the live database that it belongs to.
        since: When it came to this state, by the server's clock.
        comment: The comment that the live database had when this one was swapped out.
        closing: Number of the live database that a swap with this one has closed and not opened again.
        home: What tells the live database's server (`other_server.identity`); None: it is the one that this one is on.
        switching: True: it is a switch of the service that closed it, for writes alone; whether the service uses this
            one by now only the run that began can find out.
    """

    state: Literal["restoring", "failed", "restored", "kept"]
    live: str
    since: datetime
    backup: str | None = None
    identity: str | None = None
    run: str | None = None
    keep_until: datetime | None = None
    swap_xid: int | None = None
    why: str | None = None
    comment: str | None = None
    closing: int | None = None
    home: str | None = None
    switching: bool | None = None


class Found(NamedTuple):
    """A database beside the live one, with its mark; no mark: it was being made when its maker ended."""

    oid: int
    name: str
    accepts: bool
    mark: Mark | None
    size_bytes: int | None


def comment_of(mark: Mark) -> str:
    """Return the mark as the comment of its database."""
    return _WORD + mark.model_dump_json(exclude_none=True)


def read_mark(comment: str | None) -> Mark | None:
    """Return what a comment says, or None if it is nobody's mark."""
    if not comment or not comment.startswith(_WORD):
        return None
    try:
        return Mark.model_validate_json(comment[len(_WORD) :])
    except ValidationError:
        return None


def write_comment(connection: psycopg.Connection[Any], database: str, comment: str | None) -> None:
    """Write a database's comment; None takes it away."""
    from psycopg import sql

    statement = sql.SQL("COMMENT ON DATABASE {} IS {}")
    connection.execute(statement.format(sql.Identifier(database), sql.Literal(comment)))


def write_mark(connection: psycopg.Connection[Any], database: str, mark: Mark) -> None:
    """Write the mark as the database's comment."""
    write_comment(connection, database, comment_of(mark))


def server_now(connection: psycopg.Connection[Any]) -> datetime:
    """Return the server's time, in UTC."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    now = row[0] if row else datetime.now(UTC)
    return now.astimezone(UTC) if isinstance(now, datetime) else datetime.now(UTC)


def look(
    connection: psycopg.Connection[Any],
    live: str,
    name: str | None = None,
    *,
    home: str | None = None,
    sizes: bool = False,
) -> list[Found]:
    """Return the databases of this server that belong to the live one (or that one of them), oldest first.

    Args:
        connection: A session with the server.
        live: Name of the live database.
        name: The one that is looked for; None: all.
        home: What tells the live database's server (`Cluster.home`); None: it is this one.
        sizes: Whether their sizes are asked for.
    """
    rows = connection.execute(_LIST, {"live": live, "name": name, "sizes": sizes}).fetchall()
    found = [Found(oid, title, accepts, read_mark(text), size) for oid, title, accepts, text, size in rows]
    texts = {row[0]: row[3] for row in rows}
    return [f for f in found if _ours(f, live, home, texts[f.oid])]


def _ours(found: Found, live: str, home: str | None, comment: str | None) -> bool:
    if found.mark is not None:
        return (found.mark.live, found.mark.home) == (live, home)
    # It is created closed, and opened only after its mark was written: nobody ever put anything into it.
    return comment is None and not found.accepts and bool(_UNFINISHED.search(found.name))


def described(found: Found, held: dict[int, int], server: str | None = None) -> BesideDatabase:
    """Return a database beside as people see it; `held` are the restores that go on, `server` is where it is if elsewhere."""
    mark = found.mark
    if mark is None:
        return BesideDatabase(
            name=found.name,
            oid=found.oid,
            state=BesideState.CUT_SHORT,
            accepts=False,
            size_bytes=found.size_bytes,
            server=server,
        )
    state = BesideState(mark.state)
    if state is BesideState.RESTORING and found.oid not in held:
        state = BesideState.CUT_SHORT
    told = mark.model_dump(include={"backup", "identity", "run", "since", "keep_until", "swap_xid", "why"})
    return BesideDatabase(
        name=found.name,
        oid=found.oid,
        state=state,
        accepts=found.accepts,
        size_bytes=found.size_bytes,
        server=server,
        **told,
    )


def list_beside(cluster: Cluster, deadline_s: float) -> tuple[BesideDatabase, ...]:
    """Return every database of this service that stands beside the live one, oldest first."""
    found: list[BesideDatabase] = []
    there: list[Found] = []
    with cluster.everywhere(deadline_s) as servers:
        for connection, home in servers:
            held, here = (
                locked(connection, RESTORE_LOCK),
                look(connection, cluster.live, home=home, sizes=True),
            )
            found += [described(f, held, cluster.elsewhere(f.name)) for f in here]
            there += here
        first = servers[0].connection
        live = named(first, cluster.live).get(cluster.live)
        held_live = live is not None and read_back(setting_of(first, live.oid))[0] is not Answer.NO
    if live is not None and (held_live or not live.accepts):
        # A swap closes the live database, a switch away from it makes it refuse writes.
        field = "stops_writes" if live.accepts else "closes"
        by = {f.name for f in there if f.mark is not None and f.mark.closing == live.oid}
        found = [f.model_copy(update={field: live.name}) if f.name in by else f for f in found]
    return tuple(sorted(found, key=lambda f: (f.since or datetime.max.replace(tzinfo=UTC), f.oid)))


def drop_found(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop a database, ending its sessions. Idempotent.

    Hazard: with FORCE PostgreSQL refuses to end an autovacuum worker for a role that is no superuser; without, it waits for it.
    Source: PostgreSQL 15, src/backend/storage/ipc/procarray.c, TerminateOtherDBBackends and CountOtherDBBackends.
    """
    from psycopg import errors, sql

    fault_point("beside.drop.before")
    connection.execute("SELECT set_config('statement_timeout', %s, false)", (str(_LONG_MS),))
    drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
    try:
        connection.execute(drop + sql.SQL(" WITH (FORCE)"))
    except errors.InsufficientPrivilege:
        connection.execute(drop)
    fault_point("beside.drop.after")


def drop(cluster: Cluster, name: str) -> None:
    """Drop a database that stands beside the live one. Idempotent.

    Raises:
        Refused: It is the live one, or backout did not make it, or a swap with it was cut short.
    """
    home = cluster.home(cluster.live, name)
    with cluster.maintenance(ACT_DEADLINE_S, of=name) as connection:
        found = look(connection, cluster.live, name, home=home)
        if not found:
            _refuse_a_stranger(connection, cluster, name)
            return
        mark = found[0].mark
        if mark is not None and mark.closing is not None:
            raise Refused(
                msg("{name} is not dropped: a swap with it was cut short", name=name),
                state=msg("Nothing was dropped; {live} may take no connections.", live=cluster.live),
                next_command="backout status",
            )
        drop_found(connection, name)


def _refuse_a_stranger(connection: psycopg.Connection[Any], cluster: Cluster, name: str) -> None:
    row = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
    if name != cluster.live and row is None:
        return
    what = (
        msg("{name} is the live database", name=name)
        if name == cluster.live
        else msg("{name} is not a database that backout made beside {live}", name=name, live=cluster.live)
    )
    raise Refused(what, state=msg("Nothing was dropped."), next_command="backout status")
