"""CREATE TYPE and CREATE DOMAIN: on the way back the type goes to the hidden schema, since hidden columns may need it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.away import Dropped, Made, made
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.own_types import hide_type, show_type


class TypeAdded(Made):
    """An enum, domain or composite type that was not there."""

    kind: ClassVar[str] = "type.added"
    down_at: ClassVar[int] = 48
    redo_at: ClassVar[int] = 52
    hide = staticmethod(hide_type)
    show = staticmethod(show_type)

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it with its labels or constraints."""
        for change in difference.added("type"):
            if change.thing["kind"] == "r":
                continue  # its functions belong to the server, and cannot be hidden with it
            difference.take(change.key)
            for part in difference.added("label"):
                if part.thing["type"] == change.key.oid:
                    difference.take(part.key)
            for part in difference.added("constraint"):
                if part.thing["of_domain"] == change.key.oid:
                    difference.take(part.key)
            yield made(difference, change)


class TypeHidden(Dropped):
    """A type that the migration dropped, as the engine does it: hidden."""

    kind: ClassVar[str] = "type.hidden"
    down_at: ClassVar[int] = 52
    redo_at: ClassVar[int] = 48
    hide = staticmethod(hide_type)
    show = staticmethod(show_type)
