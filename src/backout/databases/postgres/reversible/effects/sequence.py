"""CREATE SEQUENCE and DROP SEQUENCE: one that shall not be there is hidden, and never counts backwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.away import Dropped, Made, made
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.sequences import hide_sequence, show_sequence


class SequenceAdded(Made):
    """A sequence that was not there, and no identity column's."""

    kind: ClassVar[str] = "sequence.added"
    down_at: ClassVar[int] = 56
    redo_at: ClassVar[int] = 58
    hide = staticmethod(hide_sequence)
    show = staticmethod(show_sequence)

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it, where no new table or column has taken it along."""
        for change in difference.added("sequence"):
            one = change.thing
            if (one["owned_by"] or [None])[-1] == "i":
                continue
            difference.take(change.key)
            yield made(difference, change)


class SequenceHidden(Dropped):
    """A sequence that the migration dropped, as the engine does it: hidden."""

    kind: ClassVar[str] = "sequence.hidden"
    down_at: ClassVar[int] = 58
    redo_at: ClassVar[int] = 56
    hide = staticmethod(hide_sequence)
    show = staticmethod(show_sequence)
