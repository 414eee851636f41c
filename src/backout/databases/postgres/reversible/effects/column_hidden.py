"""DROP COLUMN, as the engine does it: hidden. On the way back it is shown, and filled where rows were written since."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible import primary
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, TAKES, Bears, Operation
from backout.databases.postgres.reversible.fill import accepts_null, fill, leave_open
from backout.databases.postgres.reversible.hide import hide_column, require_column, show_column
from backout.databases.postgres.reversible.taken_over import come_back, hide_again
from backout.databases.postgres.reversible.work import Work


class ColumnHidden:
    """A column that the migration dropped."""

    kind: ClassVar[str] = "column.hidden"
    down_at: ClassVar[int] = 60
    redo_at: ClassVar[int] = 40

    def bears(self, operation: Operation) -> Bears:
        """Later code writes rows without it: with a key or a required value over it that would be refused."""
        record = operation.get("hidden", operation)
        if "taken" in operation:
            return NEITHER  # what the one writes the other does not see
        bound = any(one["kind"] in "fup" for one in record["constraints"])
        must = record.get("not_null") and record.get("default") is None
        return NEITHER if bound or must else TAKES

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Find none: a dropped column was softened, or is lost, which nobody may explain."""
        yield from ()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it, with a value in every row written since."""
        record = operation["hidden"]
        markers = [
            n for n, one in work.now.columns(record["table"]).items() if one["name"] == record["marker"]
        ]
        show_column(work, record)
        if "taken" in operation:
            is_open = come_back(work, change, operation)
        else:
            is_open = accepts_null(operation.get("fill")) and leave_open(work, record)
            fill(work, record, operation.get("fill") or record["default"])
        require_column(work, record | {"relaxed": record["relaxed"] and not is_open})
        return {key: operation[key] for key in operation if key not in ("hidden", "wanted")} | {
            "table": record["table"],
            "attnum": record["attnum"],
            "called": record["called"],
            "constraints": record["constraints"],
            "key": record["primary"],
            # Rows that were logged, or set aside, meanwhile have them.
            "marks": [*operation.get("marks", ()), *filter(None, [record["mark"]])],
            "markers": [*operation.get("markers", ()), *markers],
        }

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it again."""
        table, attnum = operation["table"], operation["attnum"]
        rest = {key: value for key, value in operation.items() if key != "key"}
        if "taken" in operation:
            return rest | hide_again(work, table, attnum, change, operation["taken"])
        # A key that had to give way to another one does so before that is there again.
        keyless = operation.get("key") is not None
        marked = "fill" in operation
        hidden = hide_column(work, table, attnum, change, marked=marked, keyless=keyless, gone=True)
        return rest | {"hidden": hidden} | primary.kept_by(hidden)
