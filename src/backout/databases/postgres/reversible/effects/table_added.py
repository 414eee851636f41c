"""CREATE TABLE: on the way back the table is hidden with its rows, not dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.constraints import still_owed
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import ADDS, Bears, Operation
from backout.databases.postgres.reversible.hide import NotHidden
from backout.databases.postgres.reversible.names import is_hidden
from backout.databases.postgres.reversible.relatives import below
from backout.databases.postgres.reversible.snapshot import Key
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
        """Take every new table, also a foreign one, whose rows are elsewhere and stay there."""
        # On the way back those below go first.
        after = difference.after
        for change in sorted(difference.added("table"), key=lambda one: -len(below(after, one.key.oid))):
            table, parents = change.key.oid, change.thing["parents"] or ()
            # Rows of a partition of another server would have to be moved there and back.
            if change.thing["kind"] not in "rpf" or (change.thing["kind"] == "f" and parents):
                continue
            _refuse_hidden(difference, table)
            difference.take(change.key)
            for kind in ("column", "constraint", "index", "trigger", "policy", "rule", "statistics object"):
                for part in difference.added(kind):
                    if part.thing.get("table") == table:
                        difference.take(part.key)
            for part in difference.added("constraint"):
                if part.thing["to_table"] == table and part.thing["parent"]:
                    difference.take(part.key)  # that of a foreign key to what it is a partition of
            for part in difference.added("sequence"):
                if (part.thing["owned_by"] or [None])[0] == table:
                    difference.take(part.key)
            yield {
                "table": table,
                "called": difference.after.name(change.key),
                "stays": all(difference.made(Key("table", parent)) for parent in parents),
                "parents": [{"table": parent} for parent in parents],
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it; rows of a partition for which there is another place without it are moved there."""
        record = hide_table(work, operation["table"], change, stays=operation.get("stays", True), gives=True)
        record["constraints"] += still_owed(work, operation.get("constraints", []))
        return operation | {"hidden": record}

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it again."""
        show_table(work, operation["hidden"], change)
        work.at_end.append(lambda: require_table(work, operation["hidden"]))
        kept = operation["hidden"]["constraints"]
        rest = {name: value for name, value in operation.items() if name != "hidden"}
        return rest | {"constraints": kept}


def _refuse_hidden(difference: Difference, table: int) -> None:
    """Refuse a table that has a hidden column of another: made with LIKE, or of a query that does not name its columns."""
    for one in difference.after.columns(table).values():
        if is_hidden(one["name"]):
            called = difference.after.name(Key("table", table))
            raise NotHidden(
                f"{called} has the hidden column {one['name']} of another table: name the columns that it is to have"
            )
