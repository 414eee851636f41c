"""The roles of a live server, by name and membership alone, on a server of our own: what is owned and granted needs them."""

from __future__ import annotations

import secrets
from contextlib import suppress
from urllib.parse import quote

from backout.databases.postgres.connect import Connector
from backout.databases.postgres.reversible.names import ident

_ROLES = """
SELECT rolname::text, rolsuper, rolinherit, rolcreaterole, rolbypassrls
FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY oid"""
_MEMBERS = """
SELECT r.rolname::text, m.rolname::text, a.admin_option
FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
WHERE m.rolname !~ '^pg_' ORDER BY 1, 2"""


def bring_roles(live: Connector, admin_url: str, user: str) -> str:
    """Make the live server's roles on our own, none of which can log in but the one that migrations run as; return its URL.

    Args:
        live: The live database.
        admin_url: A superuser's URL of our own server.
        user: Who migrations run as; it may create databases there.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    with live.session(live.statement_timeout_s) as connection:
        roles = connection.execute(_ROLES).fetchall()
        members = connection.execute(_MEMBERS).fetchall()
    told = conninfo_to_dict(admin_url)
    with psycopg.connect(admin_url, autocommit=True) as connection:
        there = {name for (name,) in connection.execute("SELECT rolname::text FROM pg_roles").fetchall()}
        for name, superuser, inherits, creates_roles, bypasses in roles:
            if name == told["user"]:
                continue
            rights = (
                ("SUPERUSER", superuser),
                ("INHERIT", inherits),
                ("CREATEROLE", creates_roles),
                ("BYPASSRLS", bypasses),
            )
            options = " ".join(word if on else f"NO{word}" for word, on in rights)
            verb = "ALTER" if name in there else "CREATE"
            connection.execute(f"{verb} ROLE {ident(name)} NOLOGIN {options}".encode())
        for role, member, may_give in members:
            option = " WITH ADMIN OPTION" if may_give else ""
            # A predefined role that only the live server's version has needs no member here.
            with suppress(psycopg.errors.UndefinedObject):
                connection.execute(f"GRANT {ident(role)} TO {ident(member)}{option}".encode())
        password = str(told["password"])
        if user != told["user"]:
            password = secrets.token_hex(16)
            connection.execute(f"ALTER ROLE {ident(user)} LOGIN CREATEDB PASSWORD '{password}'".encode())
    return f"postgresql://{quote(user, safe='')}:{password}@{told['host']}:{told['port']}/postgres"
