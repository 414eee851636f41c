"""The databases of the demo's server, as its superuser: what there is, remembered and brought back to the start."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.beside import read_mark

if TYPE_CHECKING:
    import psycopg

LIVE = "collector"
_DATED = re.compile(r"_\d{8}_\d{6}$")

_ALL = """
SELECT d.datname::text, d.datallowconn, shobj_description(d.oid, 'pg_database'),
       coalesce(array_to_string(s.setconfig, ' '), '')
FROM pg_database d LEFT JOIN pg_db_role_setting s ON s.setdatabase = d.oid AND s.setrole = 0
WHERE NOT d.datistemplate AND d.datname <> 'postgres' ORDER BY 1"""


def told(superuser_url: str) -> list[str]:
    """Return each database in a line, with its date as `*`: open or closed, its mark, its settings."""
    with _connect(superuser_url) as connection:
        return [
            " ".join((undated(name), "open" if accepts else "closed", *_mark(comment), settings)).strip()
            for name, accepts, comment, settings in connection.execute(_ALL).fetchall()
        ]


def undated(name: str) -> str:
    """Return the name of a database with its date as `*`."""
    return _DATED.sub("_*", name)


def kept(superuser_url: str) -> list[str]:
    """Return the names of the databases that were live once and were swapped out."""
    with _connect(superuser_url) as connection:
        rows = connection.execute(_ALL).fetchall()
    marks = {str(name): read_mark(comment) for name, _, comment, _ in rows}
    return [name for name, mark in marks.items() if mark is not None and mark.state == "kept"]


def let_connect(superuser_url: str) -> None:
    """Let everybody connect to the live database, whoever closed it."""
    with _connect(superuser_url) as connection:
        connection.execute("ALTER DATABASE collector ALLOW_CONNECTIONS true CONNECTION LIMIT -1")


def remember(superuser_url: str, name: str) -> datetime:
    """Keep a copy of the live database, which nobody may be connected to, and return the server's time."""
    from psycopg import sql

    with _connect(superuser_url) as connection:
        _forget(connection, name)
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} IS_TEMPLATE true ALLOW_CONNECTIONS false")
        connection.execute(copy.format(sql.Identifier(_copy(name)), sql.Identifier(LIVE)))
        row = connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        at: datetime = row[0]
        return at.astimezone(UTC)


def bring_back(superuser_url: str, name: str) -> None:
    """Drop what stands beside the live database, and make that again from its copy; no copy: leave its rows."""
    from psycopg import sql

    with _connect(superuser_url) as connection:
        copied = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_copy(name),)).fetchone()
        for found in (str(row[0]) for row in connection.execute(_ALL).fetchall()):
            if found != LIVE or copied:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(found)))
        if copied:
            make = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
            connection.execute(
                make.format(sql.Identifier(LIVE), sql.Identifier(_copy(name)), sql.Identifier(LIVE))
            )
        connection.execute("ALTER DATABASE collector RESET ALL")
        connection.execute("ALTER ROLE collector RESET ALL")
        connection.execute("ALTER ROLE collector IN DATABASE collector RESET ALL")
    let_connect(superuser_url)


def _forget(connection: psycopg.Connection[Any], name: str) -> None:
    from psycopg import sql

    copy = sql.Identifier(_copy(name))
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_copy(name),)).fetchone():
        connection.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(copy))
        connection.execute(sql.SQL("DROP DATABASE {}").format(copy))


def _copy(name: str) -> str:
    return f"stage_{name}"


def _mark(comment: str | None) -> tuple[str, ...]:
    mark = read_mark(comment)
    if mark is None:
        return (comment,) if comment else ()
    return (mark.state, "closing") if mark.closing is not None else (mark.state,)


@contextlib.contextmanager
def _connect(superuser_url: str) -> Iterator[psycopg.Connection[Any]]:
    import psycopg

    with psycopg.connect(superuser_url, autocommit=True, connect_timeout=5) as connection:
        yield connection
