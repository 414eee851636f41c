"""A database without what is hidden in it, within a savepoint: what the plain database would have by now."""

from __future__ import annotations

from backout.databases.postgres.reversible.held import path
from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, PREFIX, SCHEMA, ident, is_hidden
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.tables import word_of

STILL_NEEDED = "2BP01"
"""SQLSTATE of a DROP of what something depends on."""


def drop_hidden(link: Link, now: Snapshot) -> None:
    """Drop, within a savepoint, the tables that are hidden, what is hidden of others, and what works for it.

    Args:
        link: The session.
        now: The catalog.
    """
    gone = {key.oid for key, one in now.things.items() if key.kind == "table" and is_hidden(one["name"])}
    for oid in gone:
        table = Key("table", oid)
        link.rows(f"DROP {word_of(now.things[table])} {path(now, table)} CASCADE")
    for key, one in now.things.items():
        if (one.get("table") or 0) in gone:
            continue
        name = ident(str(one["name"])) if "name" in one else ""
        if key.kind == "column" and is_hidden(one["name"]):
            link.rows(f"ALTER TABLE {path(now, Key('table', key.oid))} DROP COLUMN {name} CASCADE")
        if key.kind == "trigger" and is_hidden(one["name"]):
            link.rows(f"DROP TRIGGER IF EXISTS {name} ON {path(now, Key('table', one['table']))}")
        if key.kind == "policy" and is_hidden(now.things[Key("table", one["table"])]["name"]):
            link.rows(f"DROP POLICY {name} ON {path(now, Key('table', one['table']))}")
    _drop_functions(link)


def _drop_functions(link: Link) -> None:
    """Drop the functions that are hidden, and those that the journal's schema has for changes of types."""
    for one in objects(
        link,
        "SELECT p.oid::regprocedure::text AS called FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n "
        f"ON n.oid = p.pronamespace WHERE n.nspname IN ('{SCHEMA}', '{HIDDEN_SCHEMA}') "
        f"AND pg_catalog.starts_with(p.proname, '{PREFIX}')",
    ):
        link.rows(f"DROP ROUTINE IF EXISTS {one['called']} CASCADE")
