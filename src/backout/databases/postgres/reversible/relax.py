"""What of a hidden column has to give way so that rows can be written without it, and what tells those rows."""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.marks import mark_of
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.snapshot import Thing
from backout.databases.postgres.reversible.work import Work

Record = dict[str, Any]


def relax(
    work: Work,
    path: str,
    column: Thing,
    name: str,
    *,
    unique: bool,
    unmarked: bool,
    kept: bool,
    marked: bool,
    changed: bool,
) -> Record:
    """Let rows be written without a value; tell those rows by a mark, as far as the type has one to spare.

    Args:
        work: The transaction.
        path: The table.
        column: As it is.
        name: Its hidden name.
        unique: It is in a unique index.
        unmarked: It will be on the way back: two rows must not have the same mark.
        kept: It gets values by itself.
        marked: Rows written since have to be told.
        changed: So have rows that are changed.

    Returns:
        `mark`: what they have (SQL; None: NULL); `marker`: the column that tells them, where neither a mark nor NULL can;
        `relaxed`: NOT NULL was taken away; `numbers`: it goes on getting values by itself, and nothing was changed.
    """
    if kept:
        # What a generated column is made of may be hidden, too, and NULL.
        relaxed = bool(column["generated"] and column["not_null"])
        if relaxed:
            work.run(f"ALTER TABLE {path} ALTER COLUMN {ident(name)} DROP NOT NULL")
        marker = _marker(work, path, name) if changed else None
        return {"mark": None, "marker": marker, "relaxed": relaxed, "numbers": True}
    found = None if unique or unmarked or changed else mark_of(column["type_text"], column["modifier"])
    change = f"ALTER TABLE {path} ALTER COLUMN {ident(name)}"
    if found is not None:
        work.run(f"{change} SET DEFAULT {found}")
    elif column["default"] is not None:
        work.run(f"{change} DROP DEFAULT")
    relaxed = bool(column["not_null"]) and found is None
    if relaxed:
        work.run(f"{change} DROP NOT NULL")
    by_default = column["default"] is not None and not unique
    untold = found is None and not column["not_null"] and (marked or by_default)
    marker = _marker(work, path, name) if changed or untold else None
    return {"mark": found, "marker": marker, "relaxed": relaxed, "numbers": False}


def marker_of(name: str) -> str:
    """Return the name of the column that tells rows written since, by the hidden name of the one that they have no value for."""
    return f"{name}_m"


def _marker(work: Work, path: str, name: str) -> str:
    """Make the column that tells rows written since: true; return its name."""
    marker = marker_of(name)
    # In two steps: rows that are there already stay without.
    work.run(f"ALTER TABLE {path} ADD COLUMN {ident(marker)} boolean")
    work.run(f"ALTER TABLE {path} ALTER COLUMN {ident(marker)} SET DEFAULT true")
    return marker
