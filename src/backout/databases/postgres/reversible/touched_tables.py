"""The tables that the way of migrations touches: all are locked at its beginning, so that nothing is waited for in the middle."""

from __future__ import annotations

from collections.abc import Sequence

from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.rows.targets import to_lock


def tables_of(link: Link, migrations: tuple[int, ...], entries: Sequence[Entry]) -> set[int]:
    """Return the oids of the tables that the way of migrations touches."""
    found: set[int] = set(to_lock(link, migrations))
    for entry in entries:
        found |= _tables_in(entry.operation)
        if entry.operation.get("of") == "table":
            found.add(entry.operation["oid"])
    moved = {
        (one.operation.get("hidden") or one.operation)["table"]
        for one in entries
        if one.kind in ("table.added", "table.hidden")
    }
    found |= _partners(link, moved)
    return found | _below(link, found)


def _partners(link: Link, tables: set[int]) -> set[int]:
    """Return the oids of the tables at the other end of foreign keys, which go when a table is hidden."""
    if not tables:
        return set()
    those = ", ".join(map(str, sorted(tables)))
    found = objects(
        link,
        "SELECT c.conrelid::int8 AS one, c.confrelid::int8 AS other FROM pg_catalog.pg_constraint c "
        f"WHERE c.contype = 'f' AND (c.conrelid IN ({those}) OR c.confrelid IN ({those}))",
    )
    return {oid for row in found for oid in (row["one"], row["other"])}


def _below(link: Link, tables: set[int]) -> set[int]:
    """Return the oids of the tables that are partitions of some, or inherit from them, at every level."""
    if not tables:
        return set()
    found = objects(
        link,
        f"""WITH RECURSIVE b(oid) AS (
          SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent IN ({", ".join(map(str, sorted(tables)))})
          UNION SELECT i.inhrelid FROM b JOIN pg_catalog.pg_inherits i ON i.inhparent = b.oid)
        SELECT b.oid::int8 AS oid FROM b JOIN pg_catalog.pg_class c ON c.oid = b.oid WHERE c.relkind IN ('r', 'p', 'f')""",
    )
    return {one["oid"] for one in found}


def _tables_in(operation: object) -> set[int]:
    if isinstance(operation, dict):
        own = {v for k, v in operation.items() if k in ("table", "to_table") and isinstance(v, int) and v}
        return own.union(*(_tables_in(value) for value in operation.values()))
    if isinstance(operation, list):
        return set().union(*(_tables_in(value) for value in operation))
    return set()
