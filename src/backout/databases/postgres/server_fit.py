"""Whether another server can hold a database like the live one: version, roles and extensions are the server's, not the dump's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.by_hand import psql, quoted
from backout.databases.postgres.cluster import server_version
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg

# Whoever owns something in the live database, or was granted something there.
# Source: PostgreSQL 15 documentation, 53.49 "pg_shdepend": `o` is an owner; what initdb made is not in it.
_ROLES = """
SELECT r.rolname::text, bool_or(s.deptype = 'o')
FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
WHERE s.refclassid = 'pg_authid'::regclass AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY 1 ORDER BY 1"""
_KNOWN = "SELECT rolname::text, pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = ANY(%s)"
_EXTENSIONS = "SELECT extname::text FROM pg_extension WHERE oid >= 16384 ORDER BY 1"
_AVAILABLE = "SELECT name::text FROM pg_available_extensions WHERE name = ANY(%s)"


def unfit_server(live: psycopg.Connection[Any], there: psycopg.Connection[Any]) -> Iterator[Message]:
    """Say what the other server lacks; empty: nothing that can be seen. Changes nothing.

    Args:
        live: A session with the live database.
        there: A session with the other server.
    """
    row = there.execute("SELECT pg_is_in_recovery()").fetchone()
    if row is None or row[0]:
        yield msg("The other server (restore.switch.server) is a standby")
    mine, theirs = server_version(live) // 10_000, server_version(there) // 10_000
    if mine != theirs:
        yield msg(
            "The other server (restore.switch.server) is PostgreSQL {theirs}, the live database's is {mine}",
            theirs=theirs,
            mine=mine,
        )
    yield from _roles(dict(live.execute(_ROLES).fetchall()), there)
    for name in lacking_extensions(extensions_of(live), there):
        yield msg("The extension {name} is not installed on the other server", name=name)


def extensions_of(live: psycopg.Connection[Any]) -> list[str]:
    """Return the extensions that were made in a database, by name."""
    return [str(row[0]) for row in live.execute(_EXTENSIONS).fetchall()]


def lacking_extensions(wanted: list[str], there: psycopg.Connection[Any]) -> list[str]:
    """Return those that a server has not, so that no database of it can have them."""
    available = {str(row[0]) for row in there.execute(_AVAILABLE, (wanted,)).fetchall()}
    return [name for name in wanted if name not in available]


def _roles(wanted: dict[str, bool], there: psycopg.Connection[Any]) -> Iterator[Message]:
    known = dict(there.execute(_KNOWN, (list(wanted),)).fetchall())
    for role, owns in wanted.items():
        if role not in known:
            yield msg(
                "There is no role {role} on the other server; as an administrator there: {by_hand}",
                role=role, by_hand=psql(f"CREATE ROLE {quoted(role)}", options="psql"),
            )  # fmt: skip
        elif owns and not known[role]:
            grant = f"GRANT {quoted(role)} TO {quoted(there.info.user)}"
            yield msg(
                "{mine} may make nothing for {role} on the other server; as an administrator there: {by_hand}",
                mine=there.info.user, role=role, by_hand=psql(grant, options="psql"),
            )  # fmt: skip
