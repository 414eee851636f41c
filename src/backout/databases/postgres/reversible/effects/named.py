"""CREATE COLLATION, CREATE TEXT SEARCH CONFIGURATION and DICTIONARY, CREATE CONVERSION: they hold no rows, and others may need them.

So they stay, and are hidden on the way back, as types are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.catalog import NAMED, OTHERS
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.away import made
from backout.databases.postgres.reversible.effects.base import ADDS, Bears, Operation
from backout.databases.postgres.reversible.link import objects
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, hidden, ident
from backout.databases.postgres.reversible.work import Moved, Work


class NamedAdded:
    """One that was not there."""

    kind: ClassVar[str] = "named.added"
    down_at: ClassVar[int] = 48
    redo_at: ClassVar[int] = 52

    def bears(self, operation: Operation) -> Bears:
        """Earlier code does not know it."""
        return ADDS

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every new one."""
        for kind in NAMED:
            for change in difference.added(kind):
                difference.take(change.key)
                yield {"of": kind} | made(difference, change)

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it."""
        _move(work, operation, hidden(change), HIDDEN_SCHEMA)
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it again."""
        _move(work, operation, operation["name"], work.schema_name(operation["schema"]))
        return operation


def _move(work: Work, operation: Operation, name: str, schema: str) -> None:
    """Give it a name, and a schema where nothing else has that.

    Raises:
        Moved: It is not there.
    """
    kind, oid = operation["of"], operation["oid"]
    _catalog, name_of, schema_of = OTHERS[kind], *NAMED[kind]
    found = objects(
        work.link,
        f"SELECT n.nspname AS schema, x.{name_of} AS name FROM pg_catalog.{_catalog} x "
        f"JOIN pg_catalog.pg_namespace n ON n.oid = x.{schema_of} WHERE x.oid = {oid}",
    )
    if not found:
        raise Moved(operation["called"], "is not there")
    there = found[0]
    head = f"ALTER {kind.upper()}"
    away = schema == HIDDEN_SCHEMA
    # The hidden name is free in either schema.
    if away:
        work.run(f"{head} {ident(there['schema'], there['name'])} RENAME TO {ident(name)}")
        work.run(f"{head} {ident(there['schema'], name)} SET SCHEMA {ident(schema)}")
    else:
        work.run(f"{head} {ident(there['schema'], there['name'])} SET SCHEMA {ident(schema)}")
        work.run(f"{head} {ident(schema, there['name'])} RENAME TO {ident(name)}")
