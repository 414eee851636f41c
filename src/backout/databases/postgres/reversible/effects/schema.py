"""CREATE SCHEMA and DROP SCHEMA: one that shall not be there has another name; what is in it goes its own way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import BOTH, Bears, Operation
from backout.databases.postgres.reversible.schemas import hide_schema, show_schema
from backout.databases.postgres.reversible.work import Work


class SchemaAdded:
    """A schema that was not there."""

    kind: ClassVar[str] = "schema.added"
    down_at: ClassVar[int] = 95
    redo_at: ClassVar[int] = 5

    def bears(self, operation: Operation) -> Bears:
        """Code uses what is in it, which goes its own way."""
        return BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it."""
        for change in difference.added("schema"):
            difference.take(change.key)
            yield {"oid": change.key.oid, "called": change.thing["name"]}

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it."""
        hide_schema(work, operation["oid"], change)
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it again."""
        show_schema(work, operation)
        return operation


class SchemaHidden:
    """A schema that the migration dropped, as the engine does it: hidden."""

    kind: ClassVar[str] = "schema.hidden"
    down_at: ClassVar[int] = 6
    redo_at: ClassVar[int] = 95

    def bears(self, operation: Operation) -> Bears:
        """Code uses what is in it, which goes its own way."""
        return BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Find none: it was softened, or is lost, which nobody may explain."""
        yield from ()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it, before what is in it."""
        show_schema(work, operation)
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it again, when it is empty."""
        hide_schema(work, operation["oid"], change)
        return operation
