"""CREATE SCHEMA: on the way back the schema has a hidden name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import BOTH, Bears, Operation
from backout.databases.postgres.reversible.names import SCHEMA, ident
from backout.databases.postgres.reversible.work import Moved, Work


class SchemaAdded:
    """A schema that was not there; what is in it goes its own way."""

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
        name = work.schema_name(operation["oid"])
        work.run(f"ALTER SCHEMA {ident(name)} RENAME TO {ident(f'{SCHEMA}_{change}')}")
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it again."""
        if any(
            key.kind == "schema" and one["name"] == operation["called"]
            for key, one in work.now.things.items()
        ):
            raise Moved(f"schema {operation['called']}", "cannot come back: another one has its name")
        name = work.schema_name(operation["oid"])
        work.run(f"ALTER SCHEMA {ident(name)} RENAME TO {ident(operation['called'])}")
        return operation
