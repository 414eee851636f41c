"""CREATE INDEX and DROP INDEX of indexes that enforce nothing, and CREATE UNIQUE INDEX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.catalog import Key
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.hide import rename
from backout.databases.postgres.reversible.names import hidden
from backout.databases.postgres.reversible.work import Work


class IndexAdded:
    """An index that was not there. On the way back it is hidden, or dropped where it would refuse rows."""

    kind: ClassVar[str] = "index.added"
    down_at: ClassVar[int] = 30
    redo_at: ClassVar[int] = 85

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every new one on a table that was there; one over new columns is hidden with them."""
        for change in difference.added("index"):
            one = change.thing
            if one["exclusion"]:
                continue
            difference.take(change.key)
            if any(
                difference.made(Key("column", one["table"], attnum))
                for attnum in one["columns"]
                if attnum > 0
            ):
                continue
            yield {
                "oid": change.key.oid,
                "called": difference.after.name(change.key),
                "name": one["name"],
                "unique": one["unique"],
                "definition": one["definition"],
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it; drop one that is unique."""
        if operation["unique"]:
            work.run(f"DROP INDEX {work.path('index', operation['oid'], called=operation['called'])}")
        else:
            rename(work, "index", operation["oid"], hidden(change), called=operation["called"])
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it again; a unique one is built anew after the COMMIT, while the database is written."""
        if operation["unique"]:
            work.later.append(str(operation["definition"]).replace(" INDEX ", " INDEX CONCURRENTLY ", 1))
        else:
            rename(work, "index", operation["oid"], operation["name"], called=operation["called"])
        return operation


class IndexHidden:
    """An index that the migration dropped, as the engine does it: hidden, and kept up to date."""

    kind: ClassVar[str] = "index.hidden"
    down_at: ClassVar[int] = 65
    redo_at: ClassVar[int] = 30

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Find none: it was softened, or is lost, which nobody may explain."""
        yield from ()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it."""
        rename(work, "index", operation["oid"], operation["name"], called=operation["called"])
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it again."""
        rename(work, "index", operation["oid"], hidden(change), called=operation["called"])
        return operation
