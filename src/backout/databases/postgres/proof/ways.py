"""How long each kind of change takes to be taken back. Pure."""

from __future__ import annotations

from backout.databases.postgres.reversible.journal import Entry
from backout.migration_proof import Way

_ROWS_SINCE = (
    "column.hidden",
    "column.retyped",
    "column.not_null",
    "domain.changed",
    "domain.check",
    "label.added",
    "rows",
)
"""Rows written since get a value, or one of the earlier type, or their earlier value again."""

_BACKGROUND = ("constraint.dropped", "key.dropped", "stored.new_index")
"""A constraint that comes back is proven, a key or index is built, while everybody works."""

_WHOLE_TABLE = ("column.aside", "placed")


def way_of(entry: Entry) -> Way:
    """Return how long a change takes to be taken back.

    Args:
        entry: What the journal says of it.
    """
    told = entry.operation
    if entry.kind in _ROWS_SINCE:
        return Way.ROWS_SINCE
    if entry.kind == "constraint.dropped" and told["dropped"]["kind"] == "x":
        return Way.WHOLE_TABLE
    if entry.kind in _BACKGROUND or (entry.kind == "views" and _filled(told)):
        return Way.BACKGROUND
    return Way.WHOLE_TABLE if entry.kind in _WHOLE_TABLE else Way.AT_ONCE


def _filled(told: dict[str, object]) -> bool:
    """Tell whether a materialized view comes back, which has to be filled."""
    before = told.get("before")
    return isinstance(before, list) and any(one.get("kind") == "m" for one in before)
