"""Who may do what with a database, as data; and what a hold that took CONNECT away keeps of it.

While CONNECT is taken away the database's comment says so, with the rights before and its own comment. Both are of the
whole server: they change in one transaction, and any database of the server shows them.
Source: PostgreSQL 15 documentation, 5.7 "Privileges"; 53.15 "pg_database" (`datacl`: null stands for the default).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from backout.databases.postgres.by_hand import WRITES, psql
from backout.document import Document
from backout.errors import NotPossible
from backout.message import msg

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composed

CONNECT = "CONNECT"
_WORD = "backout hold: CONNECT was taken away; backout release-hold gives it back. "

_RIGHTS = """
SELECT pg_get_userbyid(x.grantor)::text, coalesce(pg_get_userbyid(nullif(x.grantee, 0))::text, ''), x.what, x.grantable
FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba)))
     WITH ORDINALITY x (grantor, grantee, what, grantable, place)
WHERE d.oid = %s ORDER BY x.place"""
_COMMENT = "SELECT shobj_description(%s, 'pg_database')"


class Right(NamedTuple):
    """One right of one grantee (empty: PUBLIC) as one grantor gave it; `grantable`: WITH GRANT OPTION."""

    grantor: str
    grantee: str
    what: str
    grantable: bool


class Shut(Document):
    """What is kept while CONNECT is taken away.

    Attributes:
        before: The rights that are put back, in their order.
        during: The rights as the hold left them: others mean that somebody changed them meanwhile.
        comment: The database's own comment.
    """

    before: tuple[Right, ...]
    during: tuple[Right, ...]
    comment: str | None = None

    @property
    def text(self) -> str:
        """The comment of the database meanwhile."""
        return _WORD + self.model_dump_json()


def rights_of(connection: psycopg.Connection[Any], oid: int) -> tuple[Right, ...]:
    """Return the rights on a database, in the order in which they are kept."""
    return tuple(Right(*row) for row in connection.execute(_RIGHTS, (oid,)).fetchall())


def shut(connection: psycopg.Connection[Any], oid: int) -> Shut | None:
    """Return what a hold keeps that took CONNECT on that database away; None: none did.

    Raises:
        NotPossible: One did, and somebody has changed what it kept.
    """
    row = connection.execute(_COMMENT, (oid,)).fetchone()
    return _read(row[0] if row else None)


def rights_without_hold(connection: psycopg.Connection[Any], oid: int) -> tuple[Right, ...]:
    """Return the rights on a database as they are without our hold."""
    held = shut(connection, oid)
    return rights_of(connection, oid) if held is None else held.before


def comment_without_hold(comment: str | None) -> str | None:
    """Return a database's comment as it is without our hold."""
    held = _read(comment)
    return comment if held is None else held.comment


def grant(database: str, right: Right) -> Composed:
    """Return the statement that gives a right; its grantor is who says it, the owner where that is a member or superuser."""
    from psycopg import sql

    form = sql.SQL("GRANT {} ON DATABASE {} TO {}" + (" WITH GRANT OPTION" if right.grantable else ""))
    return form.format(sql.SQL(right.what), sql.Identifier(database), _grantee(right))


def revoke(database: str, right: Right) -> Composed:
    """Return the statement that takes a right away."""
    from psycopg import sql

    form = sql.SQL("REVOKE {} ON DATABASE {} FROM {}")
    return form.format(sql.SQL(right.what), sql.Identifier(database), _grantee(right))


def _grantee(right: Right) -> Any:
    from psycopg import sql

    return sql.Identifier(right.grantee) if right.grantee else sql.SQL("PUBLIC")


def _read(comment: str | None) -> Shut | None:
    if not comment or not comment.startswith(_WORD):
        return None
    try:
        return Shut.model_validate_json(comment[len(_WORD) :])
    except ValidationError:
        raise NotPossible(
            msg(
                "CONNECT on the database was taken away by a hold, and its comment does not tell any more what was before"
            ),
            state=msg("The rights on the database were not touched."),
            next_command=psql("\\l+", options=WRITES)
            + "   # the rights, and the comment; give back what is missing, then: COMMENT ON DATABASE … IS NULL",
        ) from None
