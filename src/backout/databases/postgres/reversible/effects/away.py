"""What types, sequences and functions share: made, or dropped, they go to the hidden schema and come back, as they are."""

from __future__ import annotations

from collections.abc import Iterator

from backout.databases.postgres.reversible.difference import Change, Difference
from backout.databases.postgres.reversible.effects.base import ADDS, TAKES, Bears, Operation
from backout.databases.postgres.reversible.work import Work


class Away:
    """What can be hidden and shown."""

    @staticmethod
    def hide(work: Work, oid: int, change: int, called: str) -> None:
        """Hide it under the change's number."""
        raise NotImplementedError

    @staticmethod
    def show(work: Work, operation: Operation) -> None:
        """Undo `hide`."""
        raise NotImplementedError


class Made(Away):
    """Something that was not there."""

    def bears(self, operation: Operation) -> Bears:
        """Earlier code does not know it."""
        return ADDS

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it."""
        self.hide(work, operation["oid"], change, operation["called"])
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it again."""
        self.show(work, operation)
        return operation


class Dropped(Away):
    """Something that the migration dropped, as the engine does it: hidden."""

    def bears(self, operation: Operation) -> Bears:
        """Later code does not use it."""
        return TAKES

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Find none: it was softened, or is lost, which nobody may explain."""
        yield from ()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it."""
        self.show(work, operation)
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it again."""
        self.hide(work, operation["oid"], change, operation["called"])
        return operation


def made(difference: Difference, change: Change) -> Operation:
    """Return the operation that tells of something new."""
    return {
        "oid": change.key.oid,
        "called": difference.after.name(change.key),
        "name": change.thing["name"],
        "schema": change.thing["schema"],
    }
