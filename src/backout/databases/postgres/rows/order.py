"""The order in which rows of several tables are written: parents before what refers to them."""

from __future__ import annotations

from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from backout.databases.postgres.rows.tables import Pair

_PARENTS = """
SELECT conrelid::bigint, confrelid::bigint, condeferrable FROM pg_constraint
WHERE contype = 'f' AND conrelid <> confrelid
  AND conrelid = ANY(%(oids)s::oid[]) AND confrelid = ANY(%(oids)s::oid[])"""


def parents_first(live: psycopg.Connection[Any], pairs: list[Pair]) -> list[Pair]:
    """Return these tables, each one after those that its foreign keys refer to.

    In a circle the keys that can be checked late do not count; in a circle of others, they are returned as given.
    """
    by_oid = {pair.live.oid: pair for pair in pairs if pair.live is not None}
    found = live.execute(_PARENTS, {"oids": list(by_oid)}).fetchall()
    for keys in (found, [key for key in found if not key[2]]):
        graph: dict[int, set[int]] = {oid: set() for oid in by_oid}
        for child, parent, _ in keys:
            graph[child].add(parent)
        with suppress(CycleError):
            return [by_oid[oid] for oid in TopologicalSorter(graph).static_order()]
    return pairs  # What cannot be written yet waits for the others.
