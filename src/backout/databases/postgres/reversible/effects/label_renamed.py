"""ALTER TYPE … RENAME VALUE: the label gets its earlier name back; rows have its number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, Bears, Operation
from backout.databases.postgres.reversible.names import hidden, literal
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Work


class LabelRenamed:
    """A label of an enum that has another name."""

    kind: ClassVar[str] = "label.renamed"
    down_at: ClassVar[int] = 53
    redo_at: ClassVar[int] = 47

    def bears(self, operation: Operation) -> Bears:
        """Code writes labels by their names."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it."""
        for change in difference.changed("label", "name"):
            before, after = change.before or {}, change.after or {}
            difference.take(change.key, "name")
            yield {
                "type": after["type"],
                "called": difference.after.name(Key("type", after["type"])),
                "from": before["name"],
                "to": after["name"],
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give the earlier name back."""
        return _rename(
            work, operation, (operation["to"], hidden(change), operation["from"]), self.down_at + 1
        )

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give the later name again."""
        return _rename(
            work, operation, (operation["from"], hidden(change), operation["to"]), self.redo_at + 1
        )


def _rename(work: Work, operation: Operation, names: tuple[str, str, str], last_at: int) -> Operation:
    """Rename a label in two steps: another one may have the name until it has got its own."""
    now, between, to = names
    path = work.path("type", operation["type"], called=operation["called"])
    work.run(f"ALTER TYPE {path} RENAME VALUE {literal(now)} TO {literal(between)}")

    def end() -> None:
        path = work.path("type", operation["type"], called=operation["called"])
        work.run(f"ALTER TYPE {path} RENAME VALUE {literal(between)} TO {literal(to)}")

    work.at(last_at, end)
    return operation
