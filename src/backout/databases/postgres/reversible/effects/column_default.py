"""SET DEFAULT and DROP DEFAULT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Difference, follows
from backout.databases.postgres.reversible.effects.base import ADDS, BOTH, TAKES, Bears, Operation
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.work import Work


class ColumnDefault:
    """A column with another default."""

    kind: ClassVar[str] = "column.default"
    down_at: ClassVar[int] = 71
    redo_at: ClassVar[int] = 80

    def bears(self, operation: Operation) -> Bears:
        """Whoever has a default may leave the value out."""
        if operation["to"] is None:
            return TAKES
        return ADDS if operation["from"] is None else BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it, except of a generated column."""
        for change in difference.changed("column", "default"):
            before, after = change.before or {}, change.after or {}
            if before["generated"] or after["generated"]:
                continue
            difference.take(change.key, "default")
            if follows(difference, change.key, "default_text"):
                continue
            yield {
                "table": change.key.oid,
                "attnum": change.key.sub,
                "called": difference.after.name(change.key),
                "from": before["default_text"],
                "to": after["default_text"],
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give the earlier default back."""
        _set(work, operation, operation["from"])
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give the later default again."""
        _set(work, operation, operation["to"])
        return operation


def _set(work: Work, operation: Operation, text: str | None) -> None:
    called = operation["called"]
    path = work.table_path(operation["table"], called=called)
    column = ident(work.thing("column", operation["table"], operation["attnum"], called=called)["name"])
    work.run(
        f"ALTER TABLE {path} ALTER COLUMN {column} {f'SET DEFAULT {text}' if text is not None else 'DROP DEFAULT'}"
    )
