"""ALTER TYPE … ADD VALUE: PostgreSQL cannot take a label away, so it stays, as a declared residue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import BOTH, Bears, Operation
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Work


class LabelAdded:
    """A label that an enum did not have."""

    kind: ClassVar[str] = "label.added"
    down_at: ClassVar[int] = 99
    redo_at: ClassVar[int] = 99

    def bears(self, operation: Operation) -> Bears:
        """It stays."""
        return BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every new label of an enum that was there."""
        for change in difference.added("label"):
            difference.take(change.key)
            called = difference.after.name(Key("type", change.thing["type"]))
            yield {"called": called, "label": change.thing["name"], "residue": True}

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Leave it."""
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Leave it."""
        return operation
