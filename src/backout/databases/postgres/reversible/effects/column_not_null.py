"""SET NOT NULL and DROP NOT NULL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.conversion import by_index
from backout.databases.postgres.reversible.difference import Difference, follows
from backout.databases.postgres.reversible.effects.base import ADDS, TAKES, Bears, Operation
from backout.databases.postgres.reversible.fill import accepts_null, tell_open
from backout.databases.postgres.reversible.given_back import forward
from backout.databases.postgres.reversible.hide import require_no_value, require_value
from backout.databases.postgres.reversible.link import scalar
from backout.databases.postgres.reversible.names import hidden, ident
from backout.databases.postgres.reversible.relatives import below
from backout.databases.postgres.reversible.remedies import Remedy, Set
from backout.databases.postgres.reversible.rows.quiet import exactly, quietly
from backout.databases.postgres.reversible.set_right import FILLED, repaired
from backout.databases.postgres.reversible.work import Work

_SET = 70
"""The turn at which it is set, there and back."""


class ColumnNotNull:
    """A column that may hold NULL now and could not before, or the reverse."""

    kind: ClassVar[str] = "column.not_null"
    down_at: ClassVar[int] = 9
    redo_at: ClassVar[int] = _SET

    def bears(self, operation: Operation) -> Bears:
        """Later code writes values where they are required; earlier code wrote them where they were."""
        return TAKES if operation["not_null"] else ADDS

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it. One that became NOT NULL because of a primary key goes with that."""
        for change in difference.changed("column", "not_null"):
            difference.take(change.key, "not_null")
            if follows(difference, change.key, "not_null"):
                continue
            yield {
                "table": change.key.oid,
                "attnum": change.key.sub,
                "called": difference.after.name(change.key),
                "not_null": (change.after or {})["not_null"],
                "default": (change.before or {})["default_text"],
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give it back its earlier strictness."""
        if operation["not_null"]:
            work.at_or_before_rows(_SET, lambda: _set(work, change, operation, not_null=False))
        else:
            work.at(_SET, lambda: _set(work, change, operation, not_null=True))
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give it its later strictness again."""
        _set(work, change, operation, not_null=operation["not_null"])
        forward(work, change, operation, turn=self.redo_at)
        return operation


def _set(work: Work, change: int, operation: Operation, *, not_null: bool) -> None:
    called = operation["called"]
    if not not_null:
        require_no_value(work, operation["table"], operation["attnum"], called)
        return
    path = work.table_path(operation["table"], called=called)
    column = ident(work.thing("column", operation["table"], operation["attnum"], called=called)["name"])
    value = operation.get("fill") or operation["default"]
    if accepts_null(value):
        if scalar(work.link, f"SELECT EXISTS (SELECT FROM {path} WHERE {column} IS NULL)") == "t":
            tell_open(work, operation["table"], operation["attnum"], called)
            return
    elif value is not None:
        _fill(work, change, operation, path, value)
    require_value(work, operation["table"], operation["attnum"], called, hidden(change))


def _fill(work: Work, change: int, operation: Operation, path: str, value: str) -> None:
    """Give rows without a value one; on the way back it is kept which had none, until `db redo` takes it away again."""
    table, attnum = operation["table"], operation["attnum"]
    name = str(work.thing("column", table, attnum, called=operation["called"])["name"])
    update = f"UPDATE {path} SET {ident(name)} = {value} WHERE {ident(name)} IS NULL"
    family = below(work.now, table)
    if family or operation["not_null"]:
        with quietly(work.link, [table, *family], []):
            work.run(update)
        return
    work.done.append(update)
    told = Remedy(
        table, operation["called"], f"{ident(name)} IS NULL", "true", [Set(attnum, name, value)], aside=False
    )
    with quietly(work.link, [table], []), by_index(work), exactly(work.link, path=False):
        repaired(work.link, work.now, change, told, word=FILLED)
