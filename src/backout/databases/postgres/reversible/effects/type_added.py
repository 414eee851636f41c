"""CREATE TYPE and CREATE DOMAIN: on the way back the type goes to the hidden schema, since hidden columns may need it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import ADDS, TAKES, Bears, Operation
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, hidden, ident
from backout.databases.postgres.reversible.work import Work


class TypeAdded:
    """An enum, domain, composite or range type that was not there."""

    kind: ClassVar[str] = "type.added"
    down_at: ClassVar[int] = 48
    redo_at: ClassVar[int] = 52

    def bears(self, operation: Operation) -> Bears:
        """Earlier code does not know it."""
        return ADDS

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it with its labels or constraints."""
        for change in difference.added("type"):
            difference.take(change.key)
            for part in difference.added("label"):
                if part.thing["type"] == change.key.oid:
                    difference.take(part.key)
            for part in difference.added("constraint"):
                if part.thing["of_domain"] == change.key.oid:
                    difference.take(part.key)
            for part in difference.added("range"):
                if part.key.oid == change.key.oid:
                    difference.take(part.key)
            one = change.thing
            yield {
                "oid": change.key.oid,
                "called": difference.after.name(change.key),
                "name": one["name"],
                "schema": one["schema"],
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it."""
        hide_type(work, operation["oid"], change, operation["called"])
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it again."""
        show_type(work, operation)
        return operation


class TypeHidden:
    """A type that the migration dropped, as the engine does it: hidden."""

    kind: ClassVar[str] = "type.hidden"
    down_at: ClassVar[int] = 52
    redo_at: ClassVar[int] = 48

    def bears(self, operation: Operation) -> Bears:
        """Later code does not use it."""
        return TAKES

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Find none: it was softened, or is lost, which nobody may explain."""
        yield from ()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it."""
        show_type(work, operation)
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it again."""
        hide_type(work, operation["oid"], change, operation["called"])
        return operation


def hide_type(work: Work, oid: int, change: int, called: str) -> None:
    """Move a type to the hidden schema, under a hidden name."""
    work.run(f"ALTER TYPE {work.path('type', oid, called=called)} RENAME TO {ident(hidden(change))}")
    work.run(f"ALTER TYPE {work.path('type', oid, called=called)} SET SCHEMA {ident(HIDDEN_SCHEMA)}")


def show_type(work: Work, operation: Operation) -> None:
    """Move a type back to its schema and name."""
    oid, called = operation["oid"], operation["called"]
    work.run(
        f"ALTER TYPE {work.path('type', oid, called=called)} SET SCHEMA {ident(work.schema_name(operation['schema']))}"
    )
    work.run(f"ALTER TYPE {work.path('type', oid, called=called)} RENAME TO {ident(operation['name'])}")
