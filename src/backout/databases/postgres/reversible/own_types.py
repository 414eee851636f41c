"""Types on their way: hidden and shown, as hidden columns may need them."""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.link import objects, scalar
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, PREFIX, SCHEMA, hidden, ident
from backout.databases.postgres.reversible.work import Work

_ON_IT = (
    "AND d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid IN "
    "(SELECT unnest(ARRAY[i.oid, i.typarray]) FROM pg_catalog.pg_type i WHERE i.oid = {0})"
)
"""Of a row `d` of pg_depend: that it is about a type, or about arrays of it."""


def hide_type(work: Work, oid: int, change: int, called: str) -> None:
    """Move a type to the hidden schema, under a hidden name."""
    work.run(f"ALTER TYPE {work.path('type', oid, called=called)} RENAME TO {ident(hidden(change))}")
    work.run(f"ALTER TYPE {work.path('type', oid, called=called)} SET SCHEMA {ident(HIDDEN_SCHEMA)}")


def show_type(work: Work, operation: dict[str, Any]) -> None:
    """Move a type back to its schema and name."""
    oid, called = operation["oid"], operation["called"]
    work.run(
        f"ALTER TYPE {work.path('type', oid, called=called)} SET SCHEMA {ident(work.schema_name(operation['schema']))}"
    )
    work.run(f"ALTER TYPE {work.path('type', oid, called=called)} RENAME TO {ident(operation['name'])}")


def kept_between(work: Work, oid: int, called: str) -> bool:
    """Hide a type that its own transaction drops, if values go through it when a column changes its type forward; tell whether.

    Column after column got it, and then another one: it was never seen before, nor is it after.
    """
    change = scalar(
        work.link,
        f"SELECT min(substring(p.proname FROM '^{PREFIX}([0-9]+)_(?:up|down)[0-9]*$')::int8) FROM pg_catalog.pg_proc p "
        f"JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid {_ON_IT.format(oid)} "
        f"WHERE p.pronamespace = '{SCHEMA}'::regnamespace",
    )
    if change is None:
        return False
    path, name = work.path("type", oid, called=called), f"{hidden(int(change))}_t{oid}"
    work.run(f"ALTER TYPE {path} RENAME TO {ident(name)}")
    work.run(f"ALTER TYPE {work.path('type', oid, called=called)} SET SCHEMA {ident(HIDDEN_SCHEMA)}")
    return True


def drop_between(work: Work) -> None:
    """Drop such types that nothing goes through any more."""
    for one in objects(
        work.link,
        "SELECT t.oid::regtype::text AS called FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace "
        f"WHERE n.nspname = '{HIDDEN_SCHEMA}' AND t.typname ~ '^{PREFIX}[0-9]+_t[0-9]+$' "
        f"AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'n' {_ON_IT.format('t.oid')})",
    ):
        work.run(f"DROP TYPE {one['called']}")
