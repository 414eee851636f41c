"""ALTER COLUMN … TYPE, as the engine does it: another column in the place of one, or its type in the catalog alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from backout.databases.postgres.reversible import expressions, in_place, numbering
from backout.databases.postgres.reversible.answers import place_of
from backout.databases.postgres.reversible.conversion import convert, watch
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, Bears, Operation
from backout.databases.postgres.reversible.hide import guard, hide_column, require_column, show_column
from backout.databases.postgres.reversible.names import hidden
from backout.databases.postgres.reversible.told_late import as_told_first
from backout.databases.postgres.reversible.twin import wanted
from backout.databases.postgres.reversible.work import Work

_SHOWN_DOWN = 60
_SHOWN_REDO = 65


class ColumnRetyped:
    """A column with another type. One of the two columns is hidden, and both know what was written since."""

    kind: ClassVar[str] = "column.retyped"
    down_at: ClassVar[int] = 35
    redo_at: ClassVar[int] = 40

    def bears(self, operation: Operation) -> Bears:
        """Nobody can tell whether code works with either type."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Find none: a change of type was journalled when it ran, or is one that nobody may explain."""
        yield from ()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide the later column; show the earlier one when names are as they were."""
        if operation["form"] == "in place":
            work.at(_SHOWN_DOWN, lambda: operation.update(in_place.narrowed(work, change, operation)))
            return operation
        return _turned(work, change, operation, back=True, shown_at=_SHOWN_DOWN)

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide the earlier column; show the later one when names are as they became."""
        if operation["form"] == "in place":
            told = dict(operation)
            work.at(_SHOWN_REDO, lambda: _widened(work, change, told))
            return told
        return _turned(work, change, operation | as_told_first(operation), back=False, shown_at=_SHOWN_REDO)


def _widened(work: Work, change: int, operation: Operation) -> None:
    operation |= in_place.widened(work, change, operation)
    # Only now: by what was put its rows are found.
    operation |= as_told_first(operation)


def _turned(work: Work, change: int, operation: Operation, *, back: bool, shown_at: int) -> Operation:
    table, record = operation["table"], operation["hidden"]
    away = operation["new" if back else "old"]
    numbers = numbering.taken(work, table, away)
    name = f"{hidden(change)}_n" if back else hidden(change)
    hiding = hide_column(work, table, away, change, twin=name)
    if "serial" in numbers:
        # At once: one that is hidden or shown meanwhile is where its owner is.
        numbering.given(work, table, record["attnum"], numbers)
        numbers = {}
    told = operation | {
        "hidden": hiding,
        "wanted": wanted(table, operation["mark"], change, hiding),
        "key": record["primary"],
        # To be proven after the COMMIT.
        "constraints": record["constraints"],
    }
    work.at(shown_at, lambda: _shown(work, change, told, record, numbers))
    return told


def _shown(work: Work, change: int, operation: Operation, record: Operation, numbers: dict[str, Any]) -> None:
    """Show the other column, with a value in every row written since."""
    back = record["attnum"] == operation["old"]
    if back and operation.get("rows_since") is not None:
        # What is converted then is what others have written, and no row comes after it.
        work.rows_back(operation["rows_since"])
    convert(
        work,
        operation,
        operation["down" if back else "up"],
        to=record["attnum"],
        required=record["not_null"],
        value=_put(work, operation, str(record["name"])) if back else None,
        tells=place_of(operation["called"]) if back else None,
    )
    show_column(work, record)
    numbering.given(work, operation["table"], record["attnum"], numbers)
    watch(work, change, operation["table"], [record["attnum"]])
    hiding = operation["hidden"]
    guard(work, operation["table"], hiding["attnum"], hiding)
    work.at_end.append(lambda: require_column(work, record))


def _put(work: Work, operation: Operation, name: str) -> str | None:
    """Return what is put where no value fits: where it speaks of the column itself, its later value is meant."""
    value = operation["fill"]
    if value is None:
        return None
    later = str(
        work.thing("column", operation["table"], operation["new"], called=operation["called"])["name"]
    )
    try:
        return expressions.over(expressions.parsed(value), lambda column: later if column == name else column)
    except expressions.NotOverColumns:
        return str(value)
