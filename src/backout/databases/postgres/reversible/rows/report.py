"""What a way back, or forward again, of rows has done and what it has left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Why(Enum):
    """Why something is not as it was."""

    CHANGED = "changed since"
    """Somebody has written the column after the migration: that value stays."""
    ROW_CHANGED = "row changed since"
    """The migration made the row and somebody has changed it: it stays."""
    REFERENCED = "referenced since"
    """The migration made the row and others refer to it: it stays."""
    GONE = "deleted since"
    """Somebody has deleted the row that the migration changed."""
    TAKEN = "key taken since"
    """The migration deleted the row, and there is another one with its key: that one stays."""
    REFUSED = "refused by the database"
    """A constraint forbids it now."""
    NO_COLUMN = "column gone"
    """The column is not there any more."""
    NO_TABLE = "table gone"
    """The table is not there any more."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that stays as it is; also in the table `backout.row_kept`.

    Attributes:
        table: Schema and name.
        key: The row: values of its key, or all of its values where the table has none.
        column: None: the whole row.
        kept: What stands there.
        wanted: What would stand there.
        why: The reason.
        said: What PostgreSQL said, if it refused.
    """

    table: str
    key: tuple[str | None, ...]
    column: str | None
    kept: str | None
    wanted: str | None
    why: Why
    said: str = ""


@dataclass(frozen=True, slots=True)
class RowsReport:
    """What was done to rows.

    Attributes:
        updated: Rows whose columns were set.
        deleted: Rows taken away.
        inserted: Rows put back.
        touched: Rows set or taken away although somebody has written them since: with the same values in what was set.
        kept: The first of what stays, at most `KEPT_AT_MOST`.
        kept_count: How much stays.
    """

    updated: int
    deleted: int
    inserted: int
    touched: int
    kept: tuple[Kept, ...]
    kept_count: int


KEPT_AT_MOST = 200


def sum_of(reports: Sequence[RowsReport]) -> RowsReport:
    """Return several reports as one."""
    return RowsReport(
        updated=sum(one.updated for one in reports),
        deleted=sum(one.deleted for one in reports),
        inserted=sum(one.inserted for one in reports),
        touched=sum(one.touched for one in reports),
        kept=tuple(kept for one in reports for kept in one.kept)[:KEPT_AT_MOST],
        kept_count=sum(one.kept_count for one in reports),
    )
