"""Values of rows written since, computed ahead of a way back: in small batches, while everybody works with the table.

What is left for the short switch are the rows that are written meanwhile: whoever changes a row again marks it again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from backout.databases.postgres.reversible.batches import BATCH, are_many, in_batches
from backout.databases.postgres.reversible.budget import rows_within
from backout.databases.postgres.reversible.built import path_of
from backout.databases.postgres.reversible.catalog import read_alone
from backout.databases.postgres.reversible.conversion import called_with, set_as
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.link import Link, scalar
from backout.databases.postgres.reversible.names import ident, is_hidden
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.work import Work
from backout.faults import fault_point
from backout.migration import LOCK_BUDGET_MS

_NOT_FOUND = "nothing finds its rows"


@dataclass(frozen=True, slots=True)
class Conversion:
    """Values that are computed from others, on the way back of one change.

    Attributes:
        table: Oid.
        called: The column that comes back.
        mark: Attnum of the column that tells the rows.
        to: Attnum of the hidden column.
        steps: Functions, as `conversion.convert` takes them.
        settings: Of the session then.
        index: Name of the index that finds the rows.
    """

    table: int
    called: str
    mark: int
    to: int
    steps: list[dict[str, Any]]
    settings: dict[str, str]
    index: str


def conversions(now: Snapshot, entries: Sequence[Entry]) -> list[Conversion]:
    """Return what can be computed ahead: where nobody's trigger or rule would fire, and an index finds the rows.

    Args:
        now: The catalog.
        entries: Of all migrations that would be taken back.
    """
    found = [one for entry in entries if entry.state == "applied" for one in _of(now, entry)]
    return [one for one in found if _is_quiet(now, one)]


def why_not(now: Snapshot, entries: Sequence[Entry]) -> dict[str, str | None]:
    """Return, of each column that gets values computed from others, why they cannot be computed ahead; None: they can."""
    found = [one for entry in entries if entry.state == "applied" for one in _of(now, entry)]
    return {
        one.called: None if _is_quiet(now, one) else why_not_ahead(now, one.table, [one.to]) or _NOT_FOUND
        for one in found
    }


def to_convert(link: Link, entries: Sequence[Entry], budget_ms: float = LOCK_BUDGET_MS) -> list[str]:
    """Return what would be computed ahead, for people: a statement each, of many rows.

    Args:
        link: A session in autocommit.
        entries: Of all migrations that would be taken back.
        budget_ms: Many are those that take longer.
    """
    now = read_alone(link)
    return [
        f"UPDATE {path_of(now, one.table)} SET {ident(str(now.columns(one.table)[one.to]['name']))} in batches"
        for one in conversions(now, entries)
        if _is_much(link, one, rows_within(budget_ms))
    ]


def convert_ahead(link: Link, entries: Sequence[Entry], budget_ms: float = LOCK_BUDGET_MS) -> int:
    """Compute them, batch by batch, until few rows are left; return of how many rows. Idempotent.

    What cannot be computed is left to the way back, which tells of it.

    Args:
        link: A session in autocommit.
        entries: Of all migrations that are to be taken back.
        budget_ms: Many are those that take longer.
    """
    rows = 0
    for one in conversions(read_alone(link), entries):
        if _is_much(link, one, rows_within(budget_ms)):
            rows += in_batches(link, partial(_batch, link, one))
    return rows


def _of(now: Snapshot, entry: Entry) -> list[Conversion]:
    told = entry.operation
    if entry.kind == "column.retyped" and told["form"] == "twin":
        (index,) = (one["name"] for one in told["wanted"] if one["where"] == told["mark"])
        mark, steps, settings = told["mark"], told["down"], told["settings"]
        return [Conversion(told["table"], told["called"], mark, told["old"], steps, settings, index)]
    if entry.kind == "column.hidden" and "taken" in told:
        record, taken = told["hidden"], told["taken"]
        columns = now.columns(record["table"]).items()
        mark = next((number for number, one in columns if one["name"] == record["marker"]), 0)
        return [
            Conversion(
                record["table"],
                record["called"],
                mark,
                record["attnum"],
                taken["down"],
                taken["settings"],
                record["written"],
            )
        ]
    return []


def _is_quiet(now: Snapshot, one: Conversion) -> bool:
    columns = now.columns(one.table)
    needed = {one.mark, one.to} | {attnum for step in one.steps for attnum in step["columns"]} - {0}
    indexes = now.of_table("index", one.table).values()
    return (
        needed <= columns.keys()
        and any(index["name"] == one.index and index["valid"] for index in indexes)
        and why_not_ahead(now, one.table, [one.to]) is None
    )


def why_not_ahead(now: Snapshot, table: int, written: Collection[int]) -> str | None:
    """Tell why columns of a table cannot be written before the locks are taken, as somebody would notice; None: they can."""
    there = now.things.get(Key("table", table))
    if there is None:
        return "its table is not there"
    if there["force_row_security"]:
        return "row level security is forced"
    if any(one["unique"] and {*one["columns"]} & {*written} for one in now.of_table("index", table).values()):
        return "it is in a unique index"
    triggers = now.of_table("trigger", table).values()
    if not all(is_hidden(str(one["name"])) for one in triggers) or now.of_table("rule", table):
        return "a trigger or rule of yours would fire"
    return None


def _is_much(link: Link, one: Conversion, many: int) -> bool:
    """Tell whether there are so many rows, and all of these can be computed."""

    def rows() -> str:
        work = Work(link)
        set_as(work, one.settings)
        value = called_with(work, one.table, one.steps)
        return f"SELECT FROM {path_of(work.now, one.table)} WHERE {_name(work, one.table, one.mark)} AND ({value}) IS NOT NULL"

    return are_many(link, rows, many)


def _batch(link: Link, one: Conversion) -> int:
    link.rows("BEGIN")
    work = Work(link)
    set_as(work, one.settings)
    path, mark, to = (
        path_of(work.now, one.table),
        _name(work, one.table, one.mark),
        _name(work, one.table, one.to),
    )
    value = called_with(work, one.table, one.steps)
    link.rows("SET LOCAL enable_seqscan = off")
    link.rows("SET LOCAL jit = off")
    # Whoever is writing a row is not waited for, and nobody has to wait for more than a batch.
    found = scalar(
        link,
        f"WITH chosen AS (SELECT ctid AS at FROM {path} WHERE {mark} AND ({value}) IS NOT NULL LIMIT {BATCH} FOR UPDATE SKIP LOCKED), "
        f"done AS (UPDATE {path} t SET {to} = {value}, {mark} = NULL FROM chosen WHERE t.ctid = chosen.at RETURNING 1) SELECT count(*) FROM done",
    )
    link.rows("COMMIT")
    fault_point("db.ahead.batch")
    return int(found or 0)


def _name(work: Work, table: int, attnum: int) -> str:
    return ident(str(work.now.columns(table)[attnum]["name"]))
