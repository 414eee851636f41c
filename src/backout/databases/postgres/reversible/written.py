"""Which tables a transaction has changed rows of, by PostgreSQL's own count: triggers, cascades and functions included.

Rolled back subtransactions are counted, too: what is not counted was surely not changed.

Source: PostgreSQL 15 documentation, 28.2.3 "Viewing Statistics", `pg_stat_xact_all_tables`.
"""

from __future__ import annotations

from typing import NamedTuple

from backout.databases.postgres.reversible.link import Link, objects


class Counts(NamedTuple):
    """Rows of one table."""

    inserted: int
    updated: int
    deleted: int


def changed_rows(link: Link) -> dict[int, Counts]:
    """Return the counts by table; only what came since an earlier reading means anything."""
    found = objects(
        link,
        "SELECT relid::int8 AS relid, n_tup_ins AS ins, n_tup_upd AS upd, n_tup_del AS del "
        "FROM pg_catalog.pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0",
    )
    return {one["relid"]: Counts(one["ins"], one["upd"], one["del"]) for one in found}


def since(before: dict[int, Counts], now: dict[int, Counts]) -> dict[int, Counts]:
    """Return what came between two readings."""
    none = Counts(0, 0, 0)
    return {
        table: Counts(*(a - b for a, b in zip(c, before.get(table, none), strict=True)))
        for table, c in now.items()
        if c != before.get(table)
    }
