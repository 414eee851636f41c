"""CREATE TABLE: on the way back the table is hidden with its rows, not dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.catalog import Key
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import ADDS, Bears, Operation
from backout.databases.postgres.reversible.hide import NotHidden
from backout.databases.postgres.reversible.names import is_hidden
from backout.databases.postgres.reversible.tables import hide_table, require_table, show_table
from backout.databases.postgres.reversible.work import Work


class TableAdded:
    """A table that was not there, with all that hangs on it."""

    kind: ClassVar[str] = "table.added"
    down_at: ClassVar[int] = 45
    redo_at: ClassVar[int] = 55

    def bears(self, operation: Operation) -> Bears:
        """Earlier code does not know it."""
        return ADDS

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every new plain table."""
        for change in difference.added("table"):
            if change.thing["kind"] != "r" or change.thing["parents"] or change.thing["bound"]:
                continue
            table = change.key.oid
            _refuse_hidden(difference, table)
            difference.take(change.key)
            for kind in ("column", "constraint", "index", "trigger", "policy", "rule", "statistics object"):
                for part in difference.added(kind):
                    if part.thing.get("table") == table:
                        difference.take(part.key)
            for part in difference.added("sequence"):
                if (part.thing["owned_by"] or [None])[0] == table:
                    difference.take(part.key)
            yield {"table": table, "called": difference.after.name(change.key)}

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it."""
        return operation | {"hidden": hide_table(work, operation["table"], change)}

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it again."""
        show_table(work, operation["hidden"])
        work.at_end.append(lambda: require_table(work, operation["hidden"]))
        kept = operation["hidden"]["constraints"]
        return {"table": operation["table"], "called": operation["called"], "constraints": kept}


def _refuse_hidden(difference: Difference, table: int) -> None:
    """Refuse a table that has a hidden column of another: made with LIKE, or of a query that does not name its columns."""
    for one in difference.after.columns(table).values():
        if is_hidden(one["name"]):
            called = difference.after.name(Key("table", table))
            raise NotHidden(
                f"{called} has the hidden column {one['name']} of another table: name the columns that it is to have"
            )
