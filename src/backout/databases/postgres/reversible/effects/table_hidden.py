"""DROP TABLE, as the engine does it: hidden. On the way back it is there again, as it was dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.brought import bring_over
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, TAKES, Bears, Operation
from backout.databases.postgres.reversible.effects.family import tell_moved
from backout.databases.postgres.reversible.tables import hide_table, require_table, show_table
from backout.databases.postgres.reversible.work import Work

_BROUGHT = 70
"""When both tables have their columns."""


class TableHidden:
    """A table that the migration dropped."""

    kind: ClassVar[str] = "table.hidden"
    down_at: ClassVar[int] = 55
    redo_at: ClassVar[int] = 45

    def bears(self, operation: Operation) -> Bears:
        """Later code does not use it; but what deletes rows that it refers to would meet its foreign keys."""
        if "rebuilt" in operation:
            return NEITHER  # what the one writes the other does not see
        keys = operation["hidden"]["constraints"] if "hidden" in operation else operation["constraints"]
        return NEITHER if any(one["kind"] == "f" for one in keys) else TAKES

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Find none: a dropped table was softened, or is lost, which nobody may explain."""
        yield from ()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it; its foreign keys come when everything else is there again."""
        record = operation["hidden"]
        moved = show_table(work, record, change, proves=True)
        told = {name: operation[name] for name in ("rebuilt", "left") if name in operation}
        if "rebuilt" in operation:
            work.at(_BROUGHT, lambda: bring_over(work, change, told["rebuilt"], back=True))
        work.at_end.append(lambda: require_table(work, record))
        return {
            "table": record["table"],
            "called": record["called"],
            "constraints": record["constraints"],
            "stays": record.get("family") is None,
            "moved": moved,
        } | told

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it again."""
        if "rebuilt" in operation:
            work.at(_BROUGHT, lambda: bring_over(work, change, operation["rebuilt"], back=False))
        if operation.get("left"):
            work.residues.append(
                f"{operation['called']} is hidden with what was written to it meanwhile: the tables that were made of it are as they were"
            )
        tell_moved(work, operation)
        return operation | {
            "hidden": hide_table(work, operation["table"], change, stays=operation.get("stays", True))
        }
