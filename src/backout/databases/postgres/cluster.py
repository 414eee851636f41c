"""The server that a service's databases live on, seen from the maintenance database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from backout.databases.postgres.connect import Connector
from backout.databases.postgres.creating import lacking_right
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

    @contextmanager
    def maintenance(self, deadline_s: float = ACT_DEADLINE_S) -> Iterator[psycopg.Connection[Any]]:
        """Open a session to the maintenance database, each statement a transaction of its own."""
        with self.connector.to(self.maintenance_name).session(deadline_s, autocommit=True) as connection:
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
        may_create = lacking_right(connection, cluster.live) is None
    if row is None:
        raise no_database(cluster.live)
    oid, accepts, version, size = row
    return LiveDatabase(cluster.live, oid, size or 0, accepts, version, may_create)


def server_version(connection: psycopg.Connection[Any]) -> int:
    """Return the server's version as `server_version_num`: 150018."""
    return connection.info.server_version


def no_database(name: str) -> TargetUnreachable:
    """Return the error that there is no such database."""
    return TargetUnreachable(
        msg("There is no database {name} on this server", name=name),
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
