"""Types on their way: hidden and shown, as hidden columns may need them."""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, hidden, ident
from backout.databases.postgres.reversible.work import Work


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
