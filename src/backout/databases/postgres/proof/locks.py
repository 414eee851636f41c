"""Which tables a migration locks, and for about how long where they have as many rows as the live ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.connect import Connector
from backout.databases.postgres.generated.look import Look, Table
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.link import Link
from backout.migration_proof import LockTaken

if TYPE_CHECKING:
    import psycopg

_ROWS_PER_MS = {
    "it is written anew": 294,
    "an index is built": 305,
    "a constraint is proven": 1716,
    "rows are written": 48,
}
"""Measured: docs/benchmarks.md, "Work on whole tables"."""

_BLOCKS = {
    "AccessExclusiveLock": "reads and writes",
    "ExclusiveLock": "writes",
    "ShareRowExclusiveLock": "writes",
    "ShareLock": "writes",
}
"""In the order of their strength. Source: PostgreSQL 15 documentation, 13.3.1 "Table-Level Locks"."""

_BESIDE = "ShareUpdateExclusiveLock"
"""What is held while an index is built concurrently, which nobody's reads and writes wait for. Source: the same."""

_HELD = """SELECT relation::int8 AS table, mode FROM pg_catalog.pg_locks
WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation' AND granted"""

_FILES = "SELECT oid::int8, relfilenode::int8 FROM pg_class WHERE oid = ANY (%s)"
_INDEXES = "SELECT indexrelid::int8, indrelid::int8 FROM pg_index WHERE indrelid = ANY (%s)"
_PROVEN = "SELECT oid::int8, conrelid::int8 FROM pg_constraint WHERE convalidated AND contype IN ('c', 'f') AND conrelid = ANY (%s)"

_ESTIMATES = """
SELECT format('%I.%I', n.nspname, c.relname), CASE WHEN c.reltuples >= 0 THEN c.reltuples::int8 END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')"""


@dataclass(slots=True)
class Held:
    """The strongest lock that a migration held on each table at the end of a transaction, by oid."""

    modes: dict[int, str] = field(default_factory=dict)

    def read(self, link: Link) -> None:
        """Note what the transaction that is open holds."""
        for row in link.rows(_HELD):
            self._heard(int(row["table"] or 0), str(row["mode"]))

    def _heard(self, table: int, mode: str) -> None:
        """Note a lock, if it is stronger than what is known and blocks somebody."""
        order, held = list(_BLOCKS), self.modes.get(table)
        if mode in _BLOCKS and (held is None or order.index(mode) < order.index(held)):
            self.modes[table] = mode


@dataclass(frozen=True, slots=True)
class Files:
    """What would be new if a table was worked through: its file, its indexes, what is proven of it."""

    files: dict[int, int]
    indexes: dict[int, int]
    proven: dict[int, int]

    @classmethod
    def of(cls, connection: psycopg.Connection[Any], look: Look) -> Files:
        """Read it for the tables of a look."""
        asked = [list(look.tables)]
        read = (dict(connection.execute(query, asked).fetchall()) for query in (_FILES, _INDEXES, _PROVEN))
        return cls(*read)


def sizes_of(live: Connector | None, told: Mapping[str, int]) -> dict[str, int]:
    """Return how many rows tables have: as it was told, else by the live database's statistics.

    Args:
        live: The live database; None: there is none.
        told: By ``schema.table``.
    """
    found: dict[str, int] = {}
    if live is not None:
        with live.session(live.statement_timeout_s) as connection:
            found = {
                name: rows for name, rows in connection.execute(_ESTIMATES).fetchall() if rows is not None
            }
    return found | dict(told)


def locks_taken(
    was: Look,
    held: Held,
    before: Files,
    after: Files,
    entries: list[Entry],
    sizes: Mapping[str, int],
) -> Iterator[LockTaken]:
    """Yield the tables that were there and that the migration locked, the longest first. Pure.

    Args:
        was: The tables before the migration.
        held: What was held.
        before: Their files before it.
        after: Their files after it.
        entries: What the migration did.
        sizes: How many rows the live tables have.
    """
    found = []
    for table in was.tables.values():
        because = tuple(_because(table, before, after, entries))
        mode = held.modes.get(table.oid, _BESIDE if "an index is built" in because else None)
        if mode is None:
            continue
        name = table.path.replace('"', "")
        rows = sizes.get(name)
        took = None if rows is None else round(sum(rows / _ROWS_PER_MS[why] for why in because) / 1000, 2)
        found.append(
            LockTaken(
                table=name,
                mode=mode,
                blocks=_BLOCKS.get(mode, "nothing"),
                rows=rows,
                seconds=took,
                because=because,
            )
        )
    yield from sorted(found, key=lambda one: (-(one.seconds or 0), one.table))


def _because(table: Table, before: Files, after: Files, entries: list[Entry]) -> Iterator[str]:
    oid = table.oid
    if oid in after.files and after.files[oid] != before.files[oid]:
        # Its indexes are built and its constraints proven within that.
        yield "it is written anew"
    else:
        if any(of == oid and index not in before.indexes for index, of in after.indexes.items()):
            yield "an index is built"
        if any(of == oid and one not in before.proven for one, of in after.proven.items()):
            yield "a constraint is proven"
    name = table.path.replace('"', "")
    if any(name in str(entry.operation["called"]).split(", ") for entry in entries if entry.kind == "rows"):
        yield "rows are written"
