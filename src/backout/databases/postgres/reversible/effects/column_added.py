"""ADD COLUMN: on the way back the column is hidden with what was written into it, not dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible import numbering, primary, subscribers
from backout.databases.postgres.reversible.constraints import still_owed
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import ADDS, NEITHER, Bears, Operation
from backout.databases.postgres.reversible.fill import fill, needs_answer, opened, unmark
from backout.databases.postgres.reversible.hide import (
    hide_column,
    may_hide,
    require_column,
    require_value,
    show_column,
)
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.refill import refill, watch
from backout.databases.postgres.reversible.relatives import columns_below
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Work


class ColumnAdded:
    """A column that was not there."""

    kind: ClassVar[str] = "column.added"
    down_at: ClassVar[int] = 40
    redo_at: ClassVar[int] = 60

    def bears(self, operation: Operation) -> Bears:
        """Earlier code writes rows without it, where that may be."""
        return ADDS if operation["optional"] else NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every new column of a table that was there before.

        Raises:
            NotHidden: The way back could not hide it.
        """
        for change in difference.added("column"):
            # What has columns and is new itself (a view) is refused by its own name.
            of_new = difference.made(Key("table", change.key.oid))
            if change.thing["local"] and not change.thing["inherited"] and not of_new:
                difference.take(change.key)
                for own, below in columns_below(
                    difference.after, change.key.oid, change.thing["name"]
                ).items():
                    if difference.made(own) and not below["local"]:
                        difference.take(own)
                _take_sequence(difference, change.key)
                may_hide(difference.after, change.key.oid, change.key.sub, goes=difference.made)
                called = difference.after.name(change.key)
                one = change.thing
                has_value = one["default_text"] is not None or bool(one["identity"] or one["generated"])
                yield {
                    "table": change.key.oid,
                    "attnum": change.key.sub,
                    "called": called,
                    "optional": has_value or not one["not_null"],
                }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it."""
        recipe = operation.get("recipe")
        table, attnum = operation["table"], operation["attnum"]
        keyless = primary.comes_back(work, table)
        record = hide_column(work, table, attnum, change, changed=recipe is not None, keyless=keyless)
        record["constraints"] += still_owed(work, operation.get("constraints", []))
        if recipe is not None:
            # What the other changes of the same migration write on their way back is not what earlier code writes.
            work.at_end.append(lambda: watch(work, change, record, recipe))
        work.residues += subscribers.left_behind(work.link, record)
        rest = {key: value for key, value in operation.items() if key != "key"}
        return rest | {"hidden": record} | primary.kept_by(record)

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it again, filled as the migration did where rows were written meanwhile."""
        record, is_open = operation["hidden"], False
        show_column(work, record)
        if "recipe" in operation:
            is_open = refill(work, change, record, operation["recipe"])
            written = f"{ident(record['marker'])} IS NOT NULL"
            numbering.advance(work, operation["table"], operation["attnum"], written)
            unmark(work, record)
        else:
            is_open = needs_answer(record) and opened(work, record)
            # Such a row may be one that the migration deletes; for others it is proven after the COMMIT.
            record = record | {"relaxed": record["relaxed"] or is_open}
            fill(work, record, record["default"])
        require_column(work, record | {"relaxed": record["relaxed"] and not is_open})
        if is_open and record["relaxed"]:
            # Other changes of the same way write such rows before it is told that they have no value, or are deleted.
            table, attnum, called = record["table"], record["attnum"], record["called"]
            work.at_last.append(lambda: require_value(work, table, attnum, called, record["hidden"]))
        kept = ("table", "attnum", "called", "optional", "recipe")
        return {key: operation[key] for key in kept if key in operation} | {
            "constraints": record["constraints"],
            "key": record["primary"],
        }


def _take_sequence(difference: Difference, column: Key) -> None:
    """Take the sequence that a serial or identity column has made."""
    for part in difference.added("sequence"):
        if (part.thing["owned_by"] or [])[:2] == [column.oid, column.sub]:
            difference.take(part.key)
