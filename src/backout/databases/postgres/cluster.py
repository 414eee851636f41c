"""The server that a service's databases live on, seen from the maintenance database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from backout.databases.postgres.carried import At, made_with
from backout.databases.postgres.connect import Connector
from backout.databases.postgres.creating import Lacking, lacking_right
from backout.databases.postgres.other_server import identity
from backout.databases.restores import LiveDatabase
from backout.errors import TargetUnreachable
from backout.message import msg

if TYPE_CHECKING:
    import psycopg

ACT_DEADLINE_S = 30.0
# Advisory locks in the maintenance database; the lower 32 bits say which database or name.
RESTORE_LOCK = 0x6261636B
SWAP_LOCK = 0x6261636C

_DATABASES = """
SELECT oid::bigint, datname::text, datallowconn FROM pg_database WHERE datname = ANY(%s)"""

_LIVE = """
SELECT d.oid::bigint, d.datallowconn, current_setting('server_version_num')::int,
       CASE WHEN has_database_privilege(d.oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')
            THEN pg_database_size(d.oid) END
FROM pg_database d WHERE d.datname = %s"""


class Seen(NamedTuple):
    """A session with a server that may have databases of the service.

    Attributes:
        home: What marks on it say of the live one's server (`Mark.home`); None: it is that server.
    """

    connection: psycopg.Connection[Any]
    home: str | None


class Both(NamedTuple):
    """Sessions with the servers of the live database and of one beside it.

    Attributes:
        home: What a mark on the latter says of the former (`Mark.home`); None: it is one server, and one session.
    """

    live: psycopg.Connection[Any]
    beside: psycopg.Connection[Any]
    home: str | None

    @property
    def exchanged(self) -> Both:
        """The same sessions, for the other one as the live one."""
        return Both(self.beside, self.live, None if self.home is None else identity(self.beside))

    def of(self, live: Named, beside: Named) -> Iterator[tuple[psycopg.Connection[Any], list[Named]]]:
        """Yield each session with those of both databases that are on its server."""
        if self.live is self.beside:
            yield self.live, [live, beside]
        else:
            yield self.live, [live]
            yield self.beside, [beside]


class Named(NamedTuple):
    """A database as the server lists it."""

    oid: int
    name: str
    accepts: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """How to reach the live database, those beside it and the maintenance database.

    Attributes:
        connector: To the live database.
        maintenance_name: The database that is connected to where none of the service's own may be.
        programs: Folder of pg_dump, pg_restore and psql; None: the newest suitable one is looked for.
        folder: Where restores keep what belongs to their process.
        pooler: PgBouncer's administration, as a connection text; None: there is no pooler, or it is left alone.
    """

    connector: Connector
    maintenance_name: str
    programs: Path | None
    folder: Path
    schemas: tuple[str, ...] | None = None
    pooler: str | None = field(default=None, repr=False)

    @property
    def live(self) -> str:
        """Name of the live database."""
        return self.connector.database

    @property
    def makes_on(self) -> Connector:
        """The server on which databases are made."""
        return self.connector if self.connector.other is None else self.connector.other.connector

    @contextmanager
    def maintenance(
        self, deadline_s: float = ACT_DEADLINE_S, *, of: str | None = None
    ) -> Iterator[psycopg.Connection[Any]]:
        """Open a session to the maintenance database, each statement a transaction of its own.

        Args:
            deadline_s: Seconds that each statement may take at most.
            of: The database whose server is meant; None: the live one.
        """
        with self._maintains(self._server(of), deadline_s) as connection:
            yield connection

    @contextmanager
    def making(self, deadline_s: float = ACT_DEADLINE_S) -> Iterator[psycopg.Connection[Any]]:
        """Open a session to the maintenance database of the server on which databases are made."""
        with self._maintains(self.makes_on, deadline_s) as connection:
            yield connection

    @contextmanager
    def both(self, live: str, beside: str | None, deadline_s: float = ACT_DEADLINE_S) -> Iterator[Both]:
        """Open a session to the maintenance database of either one's server: the same session where that is one server.

        Args:
            live: The one database.
            beside: The other one; None: one that is still to be made.
            deadline_s: Seconds that each statement may take at most.
        """
        servers = self._server(live), self.makes_on if beside is None else self._server(beside)
        with self._maintains(servers[0], deadline_s) as first:
            if servers[0] is servers[1]:
                yield Both(first, first, None)
                return
            with self._maintains(servers[1], deadline_s) as second:
                yield Both(first, second, identity(first))

    @contextmanager
    def everywhere(
        self, deadline_s: float = ACT_DEADLINE_S, *, live: str | None = None
    ) -> Iterator[tuple[Seen, ...]]:
        """Open a session to the maintenance database of every server that may have the service's databases.

        Args:
            deadline_s: Seconds that each statement may take at most.
            live: The live database, whose server comes first; None: the one that is live now.
        """
        first = self._server(live)
        with ExitStack() as opened:
            sessions = [opened.enter_context(self._maintains(first, deadline_s))]
            sessions += [opened.enter_context(self._maintains(s, deadline_s)) for s in self._others(first)]
            home = identity(sessions[0]) if len(sessions) > 1 else None
            yield tuple(Seen(session, home if place else None) for place, session in enumerate(sessions))

    def home(self, live: str, seen_from: str) -> str | None:
        """Return what a mark on the server of `seen_from` says of the server of `live`; None: it is the same."""
        server = self._server(live)
        if server is self._server(seen_from):
            return None
        with self._maintains(server, ACT_DEADLINE_S) as connection:
            return identity(connection)

    def elsewhere(self, name: str) -> str | None:
        """Return ``host:port`` of a database that is on the other server than the configured address; None: it is not."""
        return self.shown(self._server(name))

    def shown(self, server: Connector) -> str | None:
        """Return ``host:port`` of the other server; None: it is the first one."""
        return None if server is self.connector else ":".join(server.place)

    def _server(self, name: str | None) -> Connector:
        if self.connector.other is None:
            return self.connector
        return self.connector.server_of(self.live if name is None else name)

    def _others(self, live: Connector) -> Iterator[Connector]:
        if self.connector.other is not None:
            yield self.connector if live is not self.connector else self.connector.other.connector

    @contextmanager
    def _maintains(self, server: Connector, deadline_s: float) -> Iterator[psycopg.Connection[Any]]:
        with server.to(self.maintenance_name).session(deadline_s, autocommit=True) as connection:
            yield connection

    @contextmanager
    def inside(
        self, database: str, deadline_s: float = ACT_DEADLINE_S, *, autocommit: bool = True
    ) -> Iterator[psycopg.Connection[Any]]:
        """Open a session to one of the service's databases."""
        with self.connector.to(database).session(deadline_s, autocommit=autocommit) as connection:
            yield connection


def named(connection: psycopg.Connection[Any], *names: str) -> dict[str, Named]:
    """Return those of the named databases that are there, by name."""
    rows = connection.execute(_DATABASES, (list(names),)).fetchall()
    return {row[1]: Named(*row) for row in rows}


def live_database(cluster: Cluster, deadline_s: float) -> LiveDatabase:
    """Return the live database as the maintenance database sees it.

    Raises:
        TargetUnreachable: There is none of that name.
    """
    with cluster.maintenance(deadline_s) as connection:
        row = connection.execute(_LIVE, (cluster.live,)).fetchone()
        if row is None:
            raise no_database(cluster.live)
        oid, accepts, version, size = row
        lacking = lacking_like(cluster, At(connection, oid), deadline_s)
    return LiveDatabase(cluster.live, oid, size or 0, accepts, version, lacking is None)


def lacking_like(cluster: Cluster, live: At, deadline_s: float) -> Lacking | None:
    """Return the first right that the role lacks to make a database like that one; None: it has all of them.

    Raises:
        TargetUnreachable: The database is gone, or the server on which it would be made does not answer.
    """
    made = made_with(live)
    if made is None:
        raise no_database(cluster.live)
    if cluster.connector.other is None:
        return lacking_right(live.connection, made)
    with cluster.making(deadline_s) as connection:
        return lacking_right(connection, made)


def server_version(connection: psycopg.Connection[Any]) -> int:
    """Return the server's version as `server_version_num`: 150018."""
    return connection.info.server_version


def no_database(name: str) -> TargetUnreachable:
    """Return the error that there is no such database."""
    return TargetUnreachable(
        msg("There is no database {name} on the server", name=name),
        state=msg("Nothing was changed."),
        next_command="backout doctor",
    )


def try_lock(connection: psycopg.Connection[Any], kind: int, number: int) -> bool:
    """Take an advisory lock for as long as the session lives, if nobody has it."""
    key = kind << 32 | number
    row = connection.execute("SELECT pg_try_advisory_lock(%s::bigint)", (key,)).fetchone()
    return bool(row and row[0])


def locked(connection: psycopg.Connection[Any], kind: int) -> dict[int, int]:
    """Return who holds locks of that kind: number to the pid of the session."""
    rows = connection.execute(
        "SELECT objid::bigint, pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
        " AND classid = %s::bigint::oid AND objsubid = 1"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        (kind,),
    ).fetchall()
    return dict(rows)
