"""Which right our role lacks to create a database like the live one, and what an administrator types to give it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from backout.databases.postgres.by_hand import psql, quoted
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg

# The tablespace counts only where it has to be named: it is another one than that of template0.
# Source: PostgreSQL 15, src/backend/commands/dbcommands.c, createdb().
_RIGHTS = """
SELECT current_user::text, r.rolcreatedb OR r.rolsuper, t.spcname::text, pg_get_userbyid(d.datdba)::text,
       d.dattablespace = (SELECT dattablespace FROM pg_database WHERE datname = 'template0')
         OR has_tablespace_privilege(d.dattablespace, 'CREATE'),
       pg_has_role(d.datdba, 'MEMBER')
FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace, pg_roles r
WHERE d.datname = %s AND r.rolname = current_user"""


class Lacking(NamedTuple):
    """A right that is not there, and the command that an administrator types."""

    what: Message
    by_hand: str


def lacking_right(connection: psycopg.Connection[Any], live: str) -> Lacking | None:
    """Return the first right that the role lacks to create a database like `live`; None: it has all of them."""
    row = connection.execute(_RIGHTS, (live,)).fetchone()
    if row is None:
        return None
    role, may_create, tablespace, owner, in_tablespace, owns = row

    if not may_create:
        what = msg("{role} may not create and rename databases", role=role)
        return Lacking(what, psql(f"ALTER ROLE {quoted(role)} CREATEDB"))
    if not in_tablespace:
        what = msg("{role} may create nothing in the tablespace {name}", role=role, name=tablespace)
        return Lacking(what, psql(f"GRANT CREATE ON TABLESPACE {quoted(tablespace)} TO {quoted(role)}"))
    if not owns:
        what = msg("{role} may not create a database for {owner}", role=role, owner=owner)
        return Lacking(what, psql(f"GRANT {quoted(owner)} TO {quoted(role)}"))
    return None
