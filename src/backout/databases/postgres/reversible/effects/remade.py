"""CREATE, DROP and changes of rules, constraint triggers and statistics objects: one is dropped, and made again of its text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Change, Difference
from backout.databases.postgres.reversible.effects.base import BOTH, NEITHER, Bears, Operation
from backout.databases.postgres.reversible.textual import KINDS, drop, is_textual, kept, make
from backout.databases.postgres.reversible.work import Work


class Remade:
    """A thing that is another after a transaction, as it was and as it became.

    It goes before anything that it speaks of is changed, and comes when all else is back.
    """

    kind: ClassVar[str] = "remade"
    down_at: ClassVar[int] = 8
    redo_at: ClassVar[int] = 8

    def bears(self, operation: Operation) -> Bears:
        """Of what acts on rows nobody can tell."""
        return BOTH if operation["of"] == "statistics object" else NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take all of plain tables."""
        for change in list(difference.left.values()):
            if change.key.kind in KINDS and _is_ours(difference, change):
                difference.take(change.key)
                where = difference.after if change.after is not None else difference.before
                yield {
                    "of": change.key.kind,
                    "oid": change.key.oid,
                    "table": change.thing["table"],
                    "called": where.name(change.key),
                    "from": kept(difference.before, change.key) if change.before is not None else None,
                    "to": kept(difference.after, change.key) if change.after is not None else None,
                }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Drop the later one; make the earlier one when all else is as it was."""
        return _turn(work, operation, since="to", to="from")

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Drop the earlier one; make the later one when all else is as it became."""
        return _turn(work, operation, since="from", to="to")


def _is_ours(difference: Difference, change: Change) -> bool:
    sides = [
        now for now, one in ((difference.before, change.before), (difference.after, change.after)) if one
    ]
    return all(is_textual(now, change.key) for now in sides)


def _turn(work: Work, operation: Operation, *, since: str, to: str) -> Operation:
    if operation[since] is not None:
        drop(work, operation, operation[since])
    if operation[to] is not None:
        # After all that others have left for the end: names that were exchanged are in their places then.
        work.at_end.append(lambda: work.at_end.append(lambda: _make(work, operation, to)))
    return operation


def _make(work: Work, operation: Operation, to: str) -> None:
    operation["oid"] = make(work, operation, operation[to])
