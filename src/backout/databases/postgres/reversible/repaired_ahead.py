"""Rows that violate a CHECK which comes back, repaired ahead of a way back: many of them, in small batches, while everybody works.

What they had is given back where the way is not taken, and by `db finish` where it was cut short.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from backout.databases.postgres.reversible.ahead import why_not_ahead
from backout.databases.postgres.reversible.batches import BATCH, are_many, in_batches
from backout.databases.postgres.reversible.budget import rows_within
from backout.databases.postgres.reversible.built import path_of
from backout.databases.postgres.reversible.catalog import read_alone
from backout.databases.postgres.reversible.given_back import give_back
from backout.databases.postgres.reversible.journal import Entry, installed
from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.remedies import (
    Remedy,
    brings_check,
    brings_key,
    is_told,
    remedy,
    table_of,
)
from backout.databases.postgres.reversible.rows.quiet import exactly
from backout.databases.postgres.reversible.rows.store import KEPT
from backout.databases.postgres.reversible.set_right import ASIDE, REPAIRED, repaired
from backout.databases.postgres.reversible.snapshot import Snapshot
from backout.databases.postgres.reversible.twice import undo_keys_right
from backout.databases.postgres.reversible.work import Work
from backout.faults import fault_point
from backout.migration import LOCK_BUDGET_MS

_PATIENCE_S = 10.0


def repair_ahead(link: Link, entries: Sequence[Entry], budget_ms: float = LOCK_BUDGET_MS) -> int:
    """Repair batch by batch until few rows are left; return how many were. Idempotent.

    What cannot be repaired is left to the way back, which tells of it.

    Args:
        link: A session in autocommit.
        entries: Of all migrations that are to be taken back.
        budget_ms: Many are those that take longer.
    """
    rows = 0
    now = read_alone(link) if any(is_told(entry.operation) for entry in entries) else Snapshot({})
    for entry, one in _repairs(now, entries):
        if are_many(link, partial(_rows, now, one), rows_within(budget_ms)):
            rows += in_batches(link, partial(_batch, link, now, entry, one))
    return rows


def give_back_early(link: Link, entries: Sequence[Entry]) -> None:
    """Give back what was repaired for a way back that was not taken. Idempotent.

    Args:
        link: A session in autocommit.
        entries: Of the migrations that were to be taken back; what was built for their keys is gone.

    Raises:
        Locked: The tables are in use.
    """
    found = _early(link, entries)
    undo_keys_right(link, [one for one in found if brings_key(one)], patience_s=_PATIENCE_S)
    for entry in filter(brings_check, found):
        link.rows("BEGIN")
        try:
            with exactly(link, path=False):
                give_back(Work(link), entry.id, entry.operation)
        except BaseException:
            link.rows("ROLLBACK")
            raise
        link.rows("COMMIT")


def early(link: Link, entries: Sequence[Entry]) -> list[str]:
    """Return, for people, what `give_back_early` would do."""
    return [f"giving back what {one.operation['called']} does not allow" for one in _early(link, entries)]


def _early(link: Link, entries: Sequence[Entry]) -> list[Entry]:
    found = [entry for entry in entries if brings_check(entry) or brings_key(entry)]
    if not found or not installed(link):
        return []
    kept = objects(
        link,
        f"SELECT DISTINCT migrations, relation::int8 AS relation FROM {KEPT} WHERE back AND why ~ '^({REPAIRED}|{ASIDE}), ' AND NOT why LIKE '%; not given back'",
    )
    noted = {(tuple(one["migrations"]), one["relation"]) for one in kept}
    return [one for one in found if ((one.migration,), table_of(one.operation)) in noted]


def why_not_repaired(now: Snapshot, entries: Sequence[Entry]) -> dict[str, str | None]:
    """Return, of each CHECK whose rows are repaired, why they cannot be repaired ahead; None: they can."""
    # The way back of rows that the migration itself has changed may set such a row right.
    changed = {table for entry in entries if entry.kind == "rows" for table in entry.operation["tables"]}
    found: dict[str, str | None] = {}
    for entry in entries:
        one = remedy(now, entry.operation) if brings_check(entry) else None
        if one is not None and one.sets:
            found[one.called] = (
                "the migration has changed rows of that table itself"
                if one.table in changed
                else "nobody can tell before which rows it helps"
                if one.cured == "true"
                else why_not_ahead(now, one.table, [each.attnum for each in one.sets])
            )
    return found


def _repairs(now: Snapshot, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Remedy]]:
    can = why_not_repaired(now, entries)
    for entry in entries:
        one = remedy(now, entry.operation) if brings_check(entry) else None
        if one is not None and one.sets and can[one.called] is None:
            yield entry, one


def _rows(now: Snapshot, one: Remedy) -> str:
    return f"SELECT FROM {path_of(now, one.table)} WHERE {one.bad} AND {one.cured}"


def _batch(link: Link, now: Snapshot, entry: Entry, one: Remedy) -> int:
    link.rows("BEGIN")
    link.rows("SET LOCAL enable_seqscan = off")
    link.rows("SET LOCAL jit = off")
    with exactly(link, path=False):
        # Whoever is writing a row is not waited for, and nobody has to wait for more than a batch.
        changed = repaired(link, now, entry.id, one, limit=BATCH)
    link.rows("COMMIT")
    fault_point("db.repair.batch")
    return changed
