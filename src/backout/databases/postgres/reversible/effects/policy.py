"""CREATE POLICY, DROP POLICY and ALTER POLICY: a policy holds no data, so it is dropped and made again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Change, Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, Bears, Operation
from backout.databases.postgres.reversible.policies import drop_policy, kept, make_policy
from backout.databases.postgres.reversible.work import Work

_FIRST = 8
"""Before anything that it speaks of is another, or has another name."""
_LAST = 93
"""What is left for the end at this turn comes after what others leave for it: renames, above all."""


class PolicyAdded:
    """A policy that was not there, on a table that was."""

    kind: ClassVar[str] = "policy.added"
    down_at: ClassVar[int] = _FIRST
    redo_at: ClassVar[int] = _LAST

    def bears(self, operation: Operation) -> Bears:
        """Nobody can tell what code does that sees other rows."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every new one."""
        for change in difference.added("policy"):
            difference.take(change.key)
            yield _operation(difference, change)

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Drop it."""
        drop_policy(work, operation, operation["to"])
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Make it again."""
        return _made_at_end(work, operation, "to")


class PolicyDropped:
    """A policy that the migration dropped."""

    kind: ClassVar[str] = "policy.dropped"
    down_at: ClassVar[int] = _LAST
    redo_at: ClassVar[int] = _FIRST

    def bears(self, operation: Operation) -> Bears:
        """Nobody can tell what code does that sees other rows."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every one that is gone, of tables that are there."""
        for change in difference.gone("policy"):
            if change.thing["table"] in {key.oid for key in difference.after.things if key.kind == "table"}:
                difference.take(change.key)
                yield _operation(difference, change)

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Make it again."""
        return _made_at_end(work, operation, "from")

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Drop it again."""
        drop_policy(work, operation, operation["from"])
        return operation


class PolicyChanged:
    """A policy with another name, other roles, expressions or another comment."""

    kind: ClassVar[str] = "policy.changed"
    down_at: ClassVar[int] = _FIRST
    redo_at: ClassVar[int] = _FIRST

    def bears(self, operation: Operation) -> Bears:
        """Nobody can tell what code does that sees other rows."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take all that can change."""
        values = ("name", "roles", "using", "check", "columns", "comment")
        for change in difference.changed("policy", *values):
            difference.take(change.key, *values)
            yield _operation(difference, change)

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Make it again as it was: PostgreSQL cannot take an expression out of it."""
        drop_policy(work, operation, operation["to"])
        work.at(_LAST, lambda: _made_at_end(work, operation, "from"))
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Make it again as the migration had it."""
        drop_policy(work, operation, operation["from"])
        work.at(_LAST, lambda: _made_at_end(work, operation, "to"))
        return operation


def _operation(difference: Difference, change: Change) -> Operation:
    where = difference.after if change.after is not None else difference.before
    return {
        "oid": change.key.oid,
        "table": change.thing["table"],
        "called": where.name(change.key),
        "from": kept(change.before) if change.before is not None else None,
        "to": kept(change.after) if change.after is not None else None,
    }


def _made_at_end(work: Work, operation: Operation, side: str) -> Operation:
    """Have it made when all names are there; the operation then tells it by the identity that it has got."""

    def make() -> None:
        operation["oid"], operation[side] = make_policy(work, operation, operation[side])

    work.at_end.append(make)
    return operation
