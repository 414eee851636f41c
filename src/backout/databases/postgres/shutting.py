"""Takes CONNECT away from everybody but backout itself, and gives it back exactly as it was.

Whoever sets `default_transaction_read_only = off` writes on although the database's own setting says otherwise; without
CONNECT it cannot come back once its session is ended. The check is made once, when a session begins.

Superusers pass: no right is asked of them. The owner's CONNECT is a right like any other and is taken too, but the owner can
give it back to itself from another database of the server.
Source: PostgreSQL 15 documentation, 5.7 "Privileges"; REVOKE, "Notes"; postinit.c, CheckMyDatabase.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from backout.databases.postgres.beside import write_comment
from backout.databases.postgres.by_hand import WRITES, psql, quoted
from backout.databases.postgres.passing import stopped_by_shutting, who_passes
from backout.databases.postgres.rights import CONNECT, Right, Shut, grant, revoke, rights_of, shut
from backout.errors import NotPossible, StepFailed
from backout.faults import fault_point
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composed

_HERE = """
SELECT d.oid::bigint, d.datname::text, pg_get_userbyid(d.datdba)::text, d.datconnlimit, current_user::text,
       CASE WHEN r.rolsuper THEN NULL ELSE session_user::text END, shobj_description(d.oid, 'pg_database')
FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = session_user"""
_NOW = "SELECT clock_timestamp()"
_ROLES = "SELECT rolname::text FROM pg_roles"
_NO_MEMBER = """
SELECT rolname::text FROM pg_roles WHERE rolname = ANY(%s) AND NOT pg_has_role(session_user, oid, 'MEMBER') ORDER BY 1"""


class _Here(NamedTuple):
    """The database that the session is in; `keeper` is the role that backout logs in with, None for a superuser."""

    oid: int
    name: str
    owner: str
    limit: int
    user: str
    keeper: str | None
    comment: str | None


def shut_now(connection: psycopg.Connection[Any]) -> Shut | None:
    """Return what is kept while CONNECT on this database is taken away; None: it is not."""
    return shut(connection, _here(connection).oid)


def shut_out(connection: psycopg.Connection[Any]) -> object:
    """Take CONNECT away, and return the server's time after it: who came in earlier is still there.

    The way back is tried first, in the same transaction; the rights before are kept in the transaction that changes
    them. Idempotent.

    Raises:
        NotPossible: It would stop nobody, or could not be undone exactly. Nothing was changed.
    """
    here = _here(connection)
    if shut(connection, here.oid) is None:
        check_can_shut(connection)
        fault_point("database.shut.before")
        with connection.transaction():
            _lock(connection, here)
            before = rights_of(connection, here.oid)
            during = _take(connection, here, before)
            write_comment(
                connection, here.name, Shut(before=before, during=during, comment=here.comment).text
            )
            fault_point("database.shut.commit.before")
        fault_point("database.shut.after")
    row = connection.execute(_NOW).fetchone()
    return row[0] if row else None


def check_can_shut(connection: psycopg.Connection[Any]) -> None:
    """Take CONNECT away and give it back in a transaction that is rolled back.

    Raises:
        NotPossible: It would stop nobody, or could not be undone exactly. Nothing was changed.
    """
    here = _here(connection)
    if not stopped_by_shutting(connection):
        passing = who_passes(connection)
        raise NotPossible(
            msg("Taking CONNECT away would stop nobody: {who}", who=str(passing.who)),
            state=msg("The rights on {database} are as they were.", database=here.name),
            next_command=passing.next_command or "backout doctor",
        )
    lacking = grantors_out_of_reach(connection)
    if lacking:
        raise NotPossible(
            msg("{role} cannot give back what {grantors} granted on {database}", role=here.user,
                grantors=", ".join(lacking), database=here.name),
            state=msg("The rights on {database} are as they were.", database=here.name),
            next_command=f"{psql(_membership(lacking[0], here.user))}   # as an administrator",
        )  # fmt: skip
    with connection.transaction(force_rollback=True):
        _lock(connection, here)
        before = rights_of(connection, here.oid)
        _make(connection, here, before, _take(connection, here, before))
        left = rights_of(connection, here.oid)
    if sorted(left) != sorted(before):
        raise NotPossible(
            msg("The rights on {database} could not be put back exactly", database=here.name),
            state=msg("They are as they were."),
            next_command="backout doctor",
        )


def grantors_out_of_reach(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the roles that granted something on this database and that backout's role cannot act as."""
    here = _here(connection)
    grantors = {r.grantor for r in rights_of(connection, here.oid)} - {here.owner}
    return [str(row[0]) for row in connection.execute(_NO_MEMBER, (list(grantors),)).fetchall()]


def let_in(connection: psycopg.Connection[Any]) -> None:
    """Give CONNECT back, as it was. Idempotent: where it is not taken away nothing is done.

    Raises:
        StepFailed: Somebody changed the rights meanwhile, and what was taken is not there again; nothing was overwritten.
    """
    here = _here(connection)
    held = shut(connection, here.oid)
    if held is None:
        return
    fault_point("database.let_in.before")
    with connection.transaction():
        _lock(connection, here)
        now = rights_of(connection, here.oid)
        wanted = _of_roles_that_are_there(connection, held.before)
        if now == held.during:
            _make(connection, here, wanted, now)
        elif taken := [r for r in wanted if r.what == CONNECT and r not in now]:
            raise _changed_meanwhile(here, taken, held)
        write_comment(connection, here.name, held.comment)
        fault_point("database.let_in.commit.before")
    fault_point("database.let_in.after")


def back_by_hand(connection: psycopg.Connection[Any], held: Shut) -> list[str]:
    """Return the statements that put the rights and the comment back, as a person would type them."""
    from psycopg import sql

    here = _here(connection)
    comment = sql.SQL("COMMENT ON DATABASE {} IS {}").format(
        sql.Identifier(here.name), sql.Literal(held.comment)
    )
    return [*_typed(here, _taken(held), _added(held)), comment.as_string(None)]


def _here(connection: psycopg.Connection[Any]) -> _Here:
    row = connection.execute(_HERE).fetchone()
    assert row is not None
    return _Here(*row)


def _lock(connection: psycopg.Connection[Any], here: _Here) -> None:
    """Change the database's row to what it is: until this transaction ends nobody else changes the rights in it."""
    from psycopg import sql

    statement = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}")
    connection.execute(statement.format(sql.Identifier(here.name), sql.Literal(here.limit)))


def _take(connection: psycopg.Connection[Any], here: _Here, before: Sequence[Right]) -> tuple[Right, ...]:
    """Take CONNECT from everybody but the keeper, who gets it; return the rights then."""
    # What depends on a grant option stands behind it, and goes first.
    for right in reversed(before):
        if right.what == CONNECT and right.grantee != here.keeper:
            _as(connection, here, right.grantor, revoke(here.name, right))
    if here.keeper and not any(r.what == CONNECT and r.grantee == here.keeper for r in before):
        connection.execute(grant(here.name, Right(here.owner, here.keeper, CONNECT, grantable=False)))
    during = rights_of(connection, here.oid)
    left = [r for r in during if r.what == CONNECT and r.grantee != here.keeper]
    if left:
        raise NotPossible(
            msg("CONNECT on {database} could not be taken from {roles}", database=here.name,
                roles=", ".join(r.grantee or "PUBLIC" for r in left)),
            state=msg("The rights on {database} are as they were.", database=here.name),
            next_command="backout doctor",
        )  # fmt: skip
    return during


def _make(
    connection: psycopg.Connection[Any], here: _Here, wanted: Iterable[Right], now: Sequence[Right]
) -> None:
    """Make the rights these, in their order: a right that is given again would stand last."""
    for right in reversed(now):
        _as(connection, here, right.grantor, revoke(here.name, right))
    for right in wanted:
        _as(connection, here, right.grantor, grant(here.name, right))


def _as(connection: psycopg.Connection[Any], here: _Here, grantor: str, statement: Composed) -> None:
    """Carry a statement out as the role that granted; the owner's is done by whoever is one of his."""
    from psycopg import sql

    if grantor == here.owner:
        connection.execute(statement)
        return
    become = sql.SQL("SET LOCAL ROLE {}")
    connection.execute(become.format(sql.Identifier(grantor)))
    connection.execute(statement)
    connection.execute(become.format(sql.Identifier(here.user)))


def _of_roles_that_are_there(
    connection: psycopg.Connection[Any], rights: Iterable[Right]
) -> tuple[Right, ...]:
    """Leave out what belonged to roles that were dropped meanwhile: their rights went with them."""
    roles = {str(row[0]) for row in connection.execute(_ROLES).fetchall()} | {""}
    return tuple(r for r in rights if r.grantor in roles and r.grantee in roles)


def _taken(held: Shut) -> list[Right]:
    return [r for r in held.before if r.what == CONNECT and r not in held.during]


def _added(held: Shut) -> list[Right]:
    return [r for r in held.during if r not in held.before]


def _typed(here: _Here, give: Iterable[Right], take: Iterable[Right]) -> list[str]:
    statements = [(r.grantor, grant(here.name, r)) for r in give]
    statements += [(r.grantor, revoke(here.name, r)) for r in take]
    typed: list[str] = []
    for grantor, statement in statements:
        text = statement.as_string(None)
        typed += [text] if grantor == here.owner else [f"SET ROLE {quoted(grantor)}", text, "RESET ROLE"]
    return typed


def _changed_meanwhile(here: _Here, taken: Sequence[Right], held: Shut) -> StepFailed:
    command = psql(*_typed(here, taken, _added(held)), options=WRITES)
    return StepFailed(
        msg("Somebody changed the rights on {database} while it was held", database=here.name),
        state=_not_overwritten(here, taken),
        next_command=f"{command}   # what is right of it; then: backout release-hold",
    )


def _not_overwritten(here: _Here, taken: Sequence[Right]) -> Message:
    who = ", ".join(dict.fromkeys(r.grantee or "PUBLIC" for r in taken))
    return msg(
        "Nothing was overwritten and {database} is still held; before the hold these could connect: {who}.",
        database=here.name, who=who,
    )  # fmt: skip


def _membership(role: str, member: str) -> str:
    return f"GRANT {quoted(role)} TO {quoted(member)}"
