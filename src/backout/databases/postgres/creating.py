"""Which right our role lacks to create a database like the live one, and what an administrator types to give it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from backout.databases.postgres.by_hand import psql, quoted
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg

    from backout.databases.postgres.carried import Made

# The tablespace counts only where it has to be named: it is another one than that of template0.
# Source: PostgreSQL 15, src/backend/commands/dbcommands.c, createdb().
_RIGHTS = """
SELECT current_user::text, r.rolcreatedb OR r.rolsuper,
       (SELECT has_tablespace_privilege(oid, 'CREATE') FROM pg_tablespace WHERE spcname = %(tablespace)s),
       (SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = %(owner)s)
FROM pg_roles r WHERE r.rolname = current_user"""


class Lacking(NamedTuple):
    """A right that is not there, and the command that an administrator types."""

    what: Message
    by_hand: str


def lacking_right(connection: psycopg.Connection[Any], like: Made) -> Lacking | None:
    """Return the first right that the role lacks to create a database like that one on this server; None: it has all of them."""
    tablespace, owner = like.tablespace, like.owner
    row = connection.execute(_RIGHTS, {"tablespace": tablespace, "owner": owner}).fetchone()
    role, may_create, in_tablespace, owns = row or (connection.info.user, False, False, False)
    if not may_create:
        what = msg("{role} may not create and rename databases", role=role)
        return Lacking(what, psql(f"ALTER ROLE {quoted(role)} CREATEDB"))
    if not like.usual_tablespace and in_tablespace is None:
        what = msg("There is no tablespace {name} on the server", name=tablespace)
        return Lacking(what, psql(f"CREATE TABLESPACE {quoted(tablespace)} LOCATION '/an/empty/folder'"))
    if not like.usual_tablespace and not in_tablespace:
        what = msg("{role} may create nothing in the tablespace {name}", role=role, name=tablespace)
        return Lacking(what, psql(f"GRANT CREATE ON TABLESPACE {quoted(tablespace)} TO {quoted(role)}"))
    if owns is None:
        what = msg("There is no role {owner} on the server", owner=owner)
        return Lacking(what, psql(f"CREATE ROLE {quoted(owner)}", f"GRANT {quoted(owner)} TO {quoted(role)}"))
    if not owns:
        what = msg("{role} may not create a database for {owner}", role=role, owner=owner)
        return Lacking(what, psql(f"GRANT {quoted(owner)} TO {quoted(role)}"))
    return None
