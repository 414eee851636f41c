"""Which indexes a column is in, of those that are there and those that a way back builds anew."""

from __future__ import annotations

from backout.databases.postgres.reversible.built import KEY_DROPPED
from backout.databases.postgres.reversible.link import scalar
from backout.databases.postgres.reversible.names import SCHEMA
from backout.databases.postgres.reversible.snapshot import Snapshot, Thing
from backout.databases.postgres.reversible.work import Work


def in_unique(now: Snapshot, table: int, attnum: int, *, alone: bool = False) -> bool:
    """Tell whether a column is in a unique index, or in one of its own."""
    return any(
        (one["unique"] or one["exclusion"])
        and (one["columns"] == [attnum] if alone else attnum in one["columns"])
        for one in now.of_table("index", table).values()
    )


def speaks_of(index: Thing, attnum: int) -> bool:
    """Tell whether an index has to do with a column: as a key, or within an expression or its condition."""
    text = f"{index['expressions'] or ''} {index['predicate'] or ''}"
    return attnum in index["columns"] or f":varattno {attnum} " in text


def is_to_come(work: Work, table: int, attnum: int, *, alone: bool = False) -> bool:
    """Tell whether a column is in a unique index that is gone, and that the way back builds anew before it begins.

    What rows written since have in it must not be the same in two of them.

    Args:
        work: The transaction.
        table: Oid.
        attnum: The column.
        alone: It is the only one of that.
    """
    there = {} if work.begun is None else work.begun.of_table("index", table)
    if any(
        one["unique"]
        and key not in work.now.things
        and (one["columns"] == [attnum] if alone else speaks_of(one, attnum))
        for key, one in there.items()
    ):
        return True
    key = "(operation -> 'made' -> 'key')::text::jsonb"
    # Which columns an index has that is no constraint's stands in its text alone.
    of_it = f"{key} = '[{attnum}]'" if alone else f"({key} = '[]' OR {key} @> '{attnum}')"
    dropped = f"kind = '{KEY_DROPPED}' AND state = 'applied' AND (operation ->> 'table')::int8 = {table}"
    return (
        scalar(work.link, f"SELECT EXISTS (SELECT FROM {SCHEMA}.change WHERE {dropped} AND {of_it})") == "t"
    )
