"""CREATE SEQUENCE and DROP SEQUENCE: one that shall not be there is hidden, and never counts backwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import ADDS, TAKES, Bears, Operation
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, hidden, ident
from backout.databases.postgres.reversible.work import Moved, Work


class SequenceAdded:
    """A sequence that was not there, and no identity column's."""

    kind: ClassVar[str] = "sequence.added"
    down_at: ClassVar[int] = 56
    redo_at: ClassVar[int] = 58

    def bears(self, operation: Operation) -> Bears:
        """Earlier code does not know it."""
        return ADDS

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it, where no new table or column has taken it along."""
        for change in difference.added("sequence"):
            one = change.thing
            if (one["owned_by"] or [None])[-1] == "i":
                continue
            difference.take(change.key)
            yield {
                "oid": change.key.oid,
                "called": difference.after.name(change.key),
                "name": one["name"],
                "schema": one["schema"],
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it; a default that counts by it is put back later, and knows it by its number."""
        hide_sequence(work, operation["oid"], change, operation["called"])
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it again."""
        show_sequence(work, operation)
        return operation


class SequenceHidden:
    """A sequence that the migration dropped, as the engine does it: hidden."""

    kind: ClassVar[str] = "sequence.hidden"
    down_at: ClassVar[int] = 58
    redo_at: ClassVar[int] = 56

    def bears(self, operation: Operation) -> Bears:
        """Later code does not use it."""
        return TAKES

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Find none: it was softened, or is lost, which nobody may explain."""
        yield from ()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it."""
        show_sequence(work, operation)
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it again."""
        hide_sequence(work, operation["oid"], change, operation["called"])
        return operation


def hide_sequence(work: Work, oid: int, change: int, called: str) -> None:
    """Give a sequence a hidden name, in the hidden schema; one that a column owns has to stay in its table's."""
    work.run(f"ALTER SEQUENCE {work.path('sequence', oid, called=called)} RENAME TO {ident(hidden(change))}")
    if not work.thing("sequence", oid, called=called)["owned_by"]:
        work.run(
            f"ALTER SEQUENCE {work.path('sequence', oid, called=called)} SET SCHEMA {ident(HIDDEN_SCHEMA)}"
        )


def show_sequence(work: Work, operation: Operation) -> None:
    """Undo `hide_sequence`.

    Raises:
        Moved: It is gone, or something else has its name.
    """
    oid, called = operation["oid"], operation["called"]
    place = (operation["name"], operation["schema"])
    for key, one in work.now.things.items():
        if key.kind in ("table", "index", "sequence") and (one["name"], one.get("schema")) == place:
            raise Moved(called, f"cannot come back: another {key.kind} has its name")
    if work.thing("sequence", oid, called=called)["schema"] != operation["schema"]:
        schema = ident(work.schema_name(operation["schema"]))
        work.run(f"ALTER SEQUENCE {work.path('sequence', oid, called=called)} SET SCHEMA {schema}")
    work.run(
        f"ALTER SEQUENCE {work.path('sequence', oid, called=called)} RENAME TO {ident(operation['name'])}"
    )
