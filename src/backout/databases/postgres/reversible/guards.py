"""Guards of hidden columns: whenever a table gets a column behind one, that one must refuse to be reached by position."""

from __future__ import annotations

from backout.databases.postgres.reversible.difference import Difference, unlike
from backout.databases.postgres.reversible.hide import guard
from backout.databases.postgres.reversible.link import objects
from backout.databases.postgres.reversible.names import SCHEMA, is_hidden
from backout.databases.postgres.reversible.work import Work

Guarded = tuple[int, int, str]


def behind_hidden(difference: Difference) -> list[Guarded]:
    """Return the hidden columns of the tables that a transaction gave a column: table, attnum and name. Pure."""
    tables = {
        key.oid
        for key, was, is_ in unlike(difference.before, difference.after)
        if key.kind == "column" and was is None and is_ is not None and not is_hidden(is_["name"])
    }
    return [
        (table, attnum, str(one["name"]))
        for table in tables
        for attnum, one in difference.after.columns(table).items()
        if is_hidden(one["name"])
    ]


def guard_hidden(work: Work, guarded: list[Guarded]) -> None:
    """Guard hidden columns that were found to stand before new ones."""
    records = {
        one["hidden"]: one
        for one in objects(
            work.link,
            f"SELECT operation -> 'hidden' ->> 'hidden' AS hidden, operation -> 'hidden' ->> 'mark' AS mark, "
            f"operation -> 'hidden' ->> 'marker' AS marker, operation -> 'hidden' ->> 'called' AS called, (operation -> 'hidden' ->> 'numbers')::bool AS numbers "
            f"FROM {SCHEMA}.change WHERE operation -> 'hidden' ->> 'hidden' IS NOT NULL",
        )
    }
    for table, attnum, name in guarded:
        if name in records:
            guard(work, table, attnum, records[name])
