"""INSERT, UPDATE and DELETE by the migration itself. All of a way's migrations are written back at once, after the schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.heads import HISTORY_TABLES
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import BOTH, NEITHER, Bears, Operation
from backout.databases.postgres.reversible.work import Work


class RowsChanged:
    """Rows of tables that were there before, and what was done to them is in the row log."""

    kind: ClassVar[str] = "rows"
    down_at: ClassVar[int] = 98
    redo_at: ClassVar[int] = 98

    def bears(self, operation: Operation) -> Bears:
        """No code reads a migration tool's own history; of other rows nobody can tell."""
        names = {one.rpartition(".")[2].strip('"') for one in str(operation["called"]).split(", ")}
        return BOTH if names <= HISTORY_TABLES else NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Find none: the catalog does not tell of rows."""
        yield from ()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Leave it to `back.py`, which folds the logs of all migrations first."""
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Leave it to `back.py`."""
        return operation
