"""What goes with a thing when it is dropped, by itself. Pure."""

from __future__ import annotations

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.names import is_hidden
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.views import VIEWS


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
        # A statistics object has a name in a schema of its own, which another may want.
        if change.after is not None or change.key.kind == "statistics object":
            continue
        if one.get("table") == table or (change.key.kind == "constraint" and one["to_table"] == table):
            gone.take(change.key)
        if change.key.kind == "sequence" and (one["owned_by"] or [None])[0] == table:
            gone.take(change.key)


def take_views(gone: Difference) -> list[int]:
    """Take the views that go with what they show; return their oids."""
    views = [c.key.oid for c in gone.gone("table") if c.thing["kind"] in VIEWS]
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


def take_with_parts(gone: Difference) -> tuple[list[Key], list[Key], list[Key]]:
    """Take the tables, types and columns of other tables that go, with what goes with each by itself."""
    tables = take(gone, "table")
    for key in tables:
        take_table(gone, key.oid)
    types = take(gone, "type")
    for key in types:
        take_type(gone, key.oid)
    columns = take(gone, "column")
    for key in columns:
        take_parts(gone, key)
    return tables, types, columns


def take(gone: Difference, *kinds: str) -> list[Key]:
    """Take what goes of some kinds; return the identities."""
    found = [c.key for kind in kinds for c in gone.gone(kind) if not is_hidden(c.thing["name"])]
    for key in found:
        gone.take(key)
    return found
