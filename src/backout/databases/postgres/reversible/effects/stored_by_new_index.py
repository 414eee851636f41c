"""CLUSTER ON and REPLICA IDENTITY USING INDEX, of an index that the migration itself has made.

It is set as before while that index is there still, and again when it is built anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Difference, unlike
from backout.databases.postgres.reversible.effects.base import BOTH, NEITHER, Bears, Operation
from backout.databases.postgres.reversible.effects.stored import said, set_by_index
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Work

_WHAT = ("clustered", "replica_identity")


class StoredByNewIndex:
    """A table that is clustered by, or tells its rows to subscribers by, an index that was not there."""

    kind: ClassVar[str] = "stored.new_index"
    down_at: ClassVar[int] = 8
    redo_at: ClassVar[int] = 86

    def bears(self, operation: Operation) -> Bears:
        """No code reads it; but without an identity a published table takes no UPDATE."""
        return NEITHER if operation["what"] == "replica_identity" else BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it."""
        for index, was, one in unlike(difference.before, difference.after):
            if index.kind != "index" or was is not None or one is None:
                continue
            table = Key("table", one["table"])
            for what in _WHAT:
                if not one[what] or table not in difference.before.things:
                    continue
                before = said(difference.before, table.oid, what)
                difference.take(table, what)
                if before["index"] is not None:
                    difference.take(Key("index", before["index"]), what)
                yield {
                    "table": table.oid,
                    "called": difference.after.name(table),
                    "what": what,
                    "from": before,
                    "to": said(difference.after, table.oid, what),
                }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Set it as it was."""
        path = work.table_path(operation["table"], called=operation["called"])
        if not operation.get("due"):
            set_by_index(work, operation, path, since="to", to="from")
        return {name: value for name, value in operation.items() if name != "due"}

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Set it again, where its index is there and as it has to be; else after the COMMIT."""
        wanted = operation["to"]
        index = work.again("index", wanted["index"], operation["table"], wanted["name"])
        there = work.now.things.get(Key("index", index))
        columns = work.now.columns(operation["table"])
        # What a column must have is proven after the COMMIT.
        needs = there["columns"] if there is not None and operation["what"] == "replica_identity" else []
        if there is None or not all(columns[attnum]["not_null"] for attnum in needs):
            return operation | {"due": True}
        path = work.table_path(operation["table"], called=operation["called"])
        set_by_index(work, operation, path, since="from", to="to")
        return operation
