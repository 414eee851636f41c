"""What belongs to a database but is not in a dump of it: owner, encoding, rights, settings, limit.

Renaming does not move these: they stay with the database's number. So the new one gets them from the live one, and
whatever cannot be carried by the role that backout has is named.
Source: PostgreSQL 15 documentation, "pg_database", "pg_db_role_setting"; 5.7 "Privileges".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from backout.databases.postgres.marks import SETTING, setting_before
from backout.databases.postgres.rights import Right, grant, revoke, rights_of, rights_without_hold
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composed

# Their stored text is a list that is quoted already. Source: PostgreSQL 18, src/bin/pg_dump/dumputils.c,
# variable_is_guc_list_quote.
_LISTS = frozenset(
    [
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    ]
)
_ELEMENT = re.compile(r'"((?:[^"]|"")*)"|([^,\s]+)')

_SETTINGS = """
SELECT coalesce(r.rolname::text, ''), split_part(e, '=', 1), substr(e, strpos(e, '=') + 1)
FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) e LEFT JOIN pg_roles r ON r.oid = s.setrole
WHERE s.setdatabase = %s"""

# The columns for locale providers came with PostgreSQL 15, and were renamed in 17.
_MAKE = """
SELECT pg_get_userbyid(d.datdba)::text, pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text,
       to_jsonb(d) ->> 'datlocprovider', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
       to_jsonb(d) ->> 'daticurules', t.spcname::text, d.datconnlimit,
       d.dattablespace = (SELECT dattablespace FROM pg_database WHERE datname = 'template0')
FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.oid = %s"""


class At(NamedTuple):
    """A database by its number, and a session with the server that it is on."""

    connection: psycopg.Connection[Any]
    oid: int


class Change(NamedTuple):
    """One statement that makes a database more like the live one, and what it is about."""

    statement: Composed
    about: Message


class Made(NamedTuple):
    """What a database is made with, and cannot be changed later but for owner and limit."""

    owner: str
    encoding: str
    collate: str
    ctype: str
    provider: str | None
    locale: str | None
    icu_rules: str | None
    tablespace: str
    limit: int
    usual_tablespace: bool


def made_with(database: At) -> Made | None:
    """Return what a database was made with; None: it is gone."""
    row = database.connection.execute(_MAKE, (database.oid,)).fetchone()
    return Made(*row) if row else None


def create_statement(name: str, made: Made) -> Composed:
    """Return the statement that makes an empty database like that one; it takes no connections yet."""
    from psycopg import sql

    providers = {"i": "icu", "b": "builtin", "c": "libc"}
    texts = {
        "ENCODING": made.encoding,
        "LC_COLLATE": made.collate,
        "LC_CTYPE": made.ctype,
        "LOCALE_PROVIDER": providers.get(made.provider or ""),
        "ICU_LOCALE": made.locale if made.provider == "i" else None,
        "ICU_RULES": made.icu_rules,
        "BUILTIN_LOCALE": made.locale if made.provider == "b" else None,
    }
    parts = [sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))]
    parts.append(sql.SQL("OWNER {}").format(sql.Identifier(made.owner)))
    for word, text in texts.items():
        if text is not None:
            parts.append(sql.SQL(word) + sql.SQL(" {}").format(sql.Literal(text)))
    if not made.usual_tablespace:
        parts.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(made.tablespace)))
    parts.append(sql.SQL("ALLOW_CONNECTIONS false CONNECTION LIMIT {}").format(sql.Literal(made.limit)))
    return sql.SQL(" ").join(parts)


def made_differently(database: At, like: At) -> Iterator[Message]:
    """Say what cannot be carried: a database keeps the encoding and collation that it was made with."""
    one, other = made_with(database), made_with(like)
    if one is None or other is None:
        return
    for word in ("owner", "encoding", "collate", "ctype", "provider", "locale", "icu_rules", "tablespace"):
        mine, theirs = getattr(one, word), getattr(other, word)
        if mine != theirs:
            yield msg(
                "Its {what} is {mine}, that of the live database is {theirs}",
                what=word,
                mine=mine,
                theirs=theirs,
            )


def changes(name: str, database: At, like: At) -> list[Change]:
    """Return what has to be done to the database `name` so that it has the settings, rights and limit of `like`."""
    return [
        *_setting_changes(name, database, like),
        *_right_changes(name, database, like),
        *_limit_change(name, database, like),
    ]


def carry(name: str, database: At, like: At) -> None:
    """Give the database the settings, rights and limit of `like`, within the transaction that is open."""
    for change in changes(name, database, like):
        database.connection.execute(change.statement)


def refused(name: str, database: At, like: At) -> list[Message]:
    """Return what this role may not carry: each change is tried, and all are rolled back."""
    import psycopg

    problems, connection = [], database.connection
    with connection.transaction(force_rollback=True):
        for change in changes(name, database, like):
            try:
                with connection.transaction():
                    connection.execute(change.statement)
            except psycopg.Error as error:
                why = str(error.diag.message_primary or error)
                by_hand = change.statement.as_string(connection)
                problems.append(
                    msg("{about} cannot be carried over: {why}; as an administrator: {by_hand}",
                        about=str(change.about), why=why, by_hand=by_hand)
                )  # fmt: skip
    return problems


def settings_of(database: At) -> dict[tuple[str, str], str]:
    """Return a database's settings by role (empty: all roles) and name, as they are without our hold."""
    rows = database.connection.execute(_SETTINGS, (database.oid,)).fetchall()
    found = {(role, name): value for role, name, value in rows}
    held = found.pop(("", SETTING), None)
    before = setting_before(held)
    return found if before is None else {**found, ("", SETTING): before}


def _setting_changes(name: str, database: At, like: At) -> Iterator[Change]:
    from psycopg import sql

    have, want = settings_of(database), settings_of(like)
    raw = {(r, n) for r, n, _ in database.connection.execute(_SETTINGS, (database.oid,)).fetchall()}
    for role, setting in sorted(raw | want.keys()):
        value = want.get((role, setting))
        if value == have.get((role, setting)) and ((role, setting) in raw) == (value is not None):
            continue
        head = (
            sql.SQL("ALTER DATABASE {} ").format(sql.Identifier(name))
            if not role
            else sql.SQL("ALTER ROLE {} IN DATABASE {} ").format(sql.Identifier(role), sql.Identifier(name))
        )
        # A custom parameter has a name in two parts, each of them an identifier.
        parameter = sql.SQL(".").join(sql.Identifier(part) for part in setting.split("."))
        tail = sql.SQL("RESET {}").format(parameter)
        if value is not None:
            tail = sql.SQL("SET {} = {}").format(parameter, _value(setting, value))
        about = msg("Setting {setting} of {role}", setting=setting, role=role or "the database")
        yield Change(head + tail, about)


def _value(setting: str, value: str) -> Composed:
    from psycopg import sql

    if setting not in _LISTS:
        return sql.SQL("{}").format(sql.Literal(value))
    elements = [
        quoted.replace('""', '"') if plain == "" else plain for quoted, plain in _ELEMENT.findall(value)
    ] or [""]
    return sql.SQL(", ").join(sql.Literal(element) for element in elements)


def _right_changes(name: str, database: At, like: At) -> Iterator[Change]:
    made = made_with(database)
    owner = made.owner if made else ""
    have = rights_of(database.connection, database.oid)
    want = rights_without_hold(like.connection, like.oid)
    given, wanted = _of_others(have, owner), _of_others(want, owner)
    for key, right in sorted(given.items()):
        if key not in wanted or wanted[key].grantable != right.grantable:
            yield _right_change(revoke(name, right), right)
    for key, right in sorted(wanted.items()):
        if key not in given or given[key].grantable != right.grantable:
            yield _right_change(grant(name, right), right)
    # The owner may have taken rights from himself.
    own, own_wanted = ({r.what for r in rights if r.grantee == owner} for rights in (have, want))
    for what in sorted(own ^ own_wanted):
        right = Right(owner, owner, what, grantable=False)
        yield _right_change(grant(name, right) if what in own_wanted else revoke(name, right), right)


def _of_others(rights: tuple[Right, ...], owner: str) -> dict[tuple[str, str], Right]:
    return {(r.grantee, r.what): r for r in rights if r.grantee != owner}


def _right_change(statement: Composed, right: Right) -> Change:
    return Change(statement, msg("Right {what} of {who}", what=right.what, who=right.grantee or "PUBLIC"))


def _limit_change(name: str, database: At, like: At) -> Iterator[Change]:
    from psycopg import sql

    have, want = made_with(database), made_with(like)
    if have is None or want is None or have.limit == want.limit:
        return
    statement = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(
        sql.Identifier(name), sql.Literal(want.limit)
    )
    yield Change(statement, msg("The connection limit"))
