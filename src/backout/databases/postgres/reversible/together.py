"""What goes with a thing when it is dropped, by itself. Pure."""

from __future__ import annotations

from backout.databases.postgres.reversible.catalog import Key
from backout.databases.postgres.reversible.difference import Difference


def take_parts(gone: Difference, column: Key) -> None:
    """Take what goes with a column by itself: its indexes, constraints and owned sequence."""
    for kind in ("constraint", "index"):
        for change in list(gone.gone(kind)):
            one = change.thing
            if one.get("table") == column.oid and column.sub in (one["columns"] or ()):
                gone.take(change.key)
            if (
                kind == "constraint"
                and one["to_table"] == column.oid
                and column.sub in (one["to_columns"] or ())
            ):
                gone.take(change.key)
            if (
                kind == "index"
                and f":varattno {column.sub} " in f"{one['expressions'] or ''}{one['predicate'] or ''}"
            ):
                gone.take(change.key)
    for change in list(gone.gone("sequence")):
        if (change.thing["owned_by"] or [])[:2] == [column.oid, column.sub]:
            gone.take(change.key)


def take_table(gone: Difference, table: int) -> None:
    """Take what goes with a table by itself, and the foreign keys to it."""
    for change in list(gone.left.values()):
        one = change.thing
        if change.after is not None:
            continue
        if one.get("table") == table or (change.key.kind == "constraint" and one["to_table"] == table):
            gone.take(change.key)
        if change.key.kind == "sequence" and (one["owned_by"] or [None])[0] == table:
            gone.take(change.key)


def take_views(gone: Difference) -> list[int]:
    """Take the views that go with what they show; return their oids."""
    views = [c.key.oid for c in gone.gone("table") if c.thing["kind"] == "v"]
    for change in list(gone.left.values()):
        own = change.key.oid if change.key.kind == "table" else change.thing.get("table")
        if change.after is None and own in views:
            gone.take(change.key)
    return views


def take_type(gone: Difference, oid: int) -> None:
    """Take what goes with a type by itself: the labels of an enum, the constraints of a domain."""
    for change in [*gone.gone("label"), *gone.gone("constraint")]:
        if oid in (change.thing.get("type"), change.thing.get("of_domain")):
            gone.take(change.key)
