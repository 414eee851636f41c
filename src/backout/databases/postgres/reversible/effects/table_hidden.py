"""DROP TABLE, as the engine does it: hidden. On the way back it is there again, as it was dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, TAKES, Bears, Operation
from backout.databases.postgres.reversible.effects.family import tell_moved
from backout.databases.postgres.reversible.tables import hide_table, require_table, show_table
from backout.databases.postgres.reversible.work import Work


class TableHidden:
    """A table that the migration dropped."""

    kind: ClassVar[str] = "table.hidden"
    down_at: ClassVar[int] = 55
    redo_at: ClassVar[int] = 45

    def bears(self, operation: Operation) -> Bears:
        """Later code does not use it; but what deletes rows that it refers to would meet its foreign keys."""
        keys = operation["hidden"]["constraints"] if "hidden" in operation else operation["constraints"]
        return NEITHER if any(one["kind"] == "f" for one in keys) else TAKES

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Find none: a dropped table was softened, or is lost, which nobody may explain."""
        yield from ()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it; its foreign keys come when everything else is there again."""
        record = operation["hidden"]
        moved = show_table(work, record, change, proves=True)
        work.at_end.append(lambda: require_table(work, record))
        return {
            "table": record["table"],
            "called": record["called"],
            "constraints": record["constraints"],
            "stays": record.get("family") is None,
            "moved": moved,
        }

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it again."""
        tell_moved(work, operation)
        return operation | {
            "hidden": hide_table(work, operation["table"], change, stays=operation.get("stays", True))
        }
