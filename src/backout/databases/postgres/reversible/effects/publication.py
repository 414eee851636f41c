"""CREATE, ALTER and DROP PUBLICATION: it is dropped, made again or set as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import BOTH, Bears, Operation
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.publications import change as set_again
from backout.databases.postgres.reversible.publications import kept, make, standing
from backout.databases.postgres.reversible.work import Work


class Publication:
    """A publication that was not there, is gone, or publishes something else."""

    kind: ClassVar[str] = "publication"
    down_at: ClassVar[int] = 8
    redo_at: ClassVar[int] = 8

    def bears(self, operation: Operation) -> Bears:
        """No code reads it."""
        return BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it; not where all tables take the place of some, which ALTER PUBLICATION cannot say."""
        for change in [one for one in difference.left.values() if one.key.kind == "publication"]:
            before, after = change.before, change.after
            if before is not None and after is not None and before["all"] != after["all"]:
                continue
            difference.take(change.key)
            yield {
                "oid": change.key.oid,
                "called": change.thing["name"],
                "from": kept(before) if before is not None else None,
                "to": kept(after) if after is not None else None,
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Have it as it was."""
        return _turn(work, operation, since="to", to="from")

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Have it as it became."""
        return _turn(work, operation, since="from", to="to")


def _turn(work: Work, operation: Operation, *, since: str, to: str) -> Operation:
    old, new = operation[since], operation[to]
    if old is not None:
        operation["oid"] = standing(work, operation["oid"], old, f"publication {operation['called']}").oid
        if new is None:
            work.run(f"DROP PUBLICATION {ident(old['name'])}")
    if new is not None:
        # When all that it publishes has its name.
        work.at_end.append(lambda: work.at_end.append(lambda: _make(work, operation, since, to)))
    return operation


def _make(work: Work, operation: Operation, since: str, to: str) -> None:
    if operation[since] is None:
        operation["oid"] = make(work, operation[to])
        return
    (now,) = [
        one
        for key, one in work.now.things.items()
        if (key.kind, key.oid) == ("publication", operation["oid"])
    ]
    set_again(work, kept(now), operation[to])
