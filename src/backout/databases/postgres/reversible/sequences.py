"""Sequences on their way: hidden and shown, which leaves their numbers alone."""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, hidden, ident
from backout.databases.postgres.reversible.work import Moved, Work


def hide_sequence(work: Work, oid: int, change: int, called: str) -> None:
    """Give a sequence a hidden name, in the hidden schema; one that a column owns has to stay in its table's."""
    work.run(f"ALTER SEQUENCE {work.path('sequence', oid, called=called)} RENAME TO {ident(hidden(change))}")
    if not work.thing("sequence", oid, called=called)["owned_by"]:
        work.run(
            f"ALTER SEQUENCE {work.path('sequence', oid, called=called)} SET SCHEMA {ident(HIDDEN_SCHEMA)}"
        )


def show_sequence(work: Work, operation: dict[str, Any]) -> None:
    """Undo `hide_sequence`.

    Raises:
        Moved: It is gone, or something else has its name.
    """
    oid, called = operation["oid"], operation["called"]
    place = (operation["name"], operation["schema"])
    for key, one in work.now.things.items():
        if key.kind in ("table", "index", "sequence") and (one["name"], one.get("schema")) == place:
            raise Moved(called, f"cannot come back: another {key.kind} has its name")
    if work.thing("sequence", oid, called=called)["schema"] != operation["schema"]:
        schema = ident(work.schema_name(operation["schema"]))
        work.run(f"ALTER SEQUENCE {work.path('sequence', oid, called=called)} SET SCHEMA {schema}")
    work.run(
        f"ALTER SEQUENCE {work.path('sequence', oid, called=called)} RENAME TO {ident(operation['name'])}"
    )
