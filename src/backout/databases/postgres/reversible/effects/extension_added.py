"""CREATE EXTENSION: it stays on the way back, as a declared residue: what is of its types would go with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.catalog import OTHERS
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import BOTH, Bears, Operation
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Work

_KINDS = {"pg_proc": "function", "pg_type": "type"} | {catalog: kind for kind, catalog in OTHERS.items()}
_KEEPS_ROWS = "pg_class"


class ExtensionAdded:
    """An extension that was not there; one that has tables of its own is not taken."""

    kind: ClassVar[str] = "extension.added"
    down_at: ClassVar[int] = 99
    redo_at: ClassVar[int] = 6

    def bears(self, operation: Operation) -> Bears:
        """It stays."""
        return BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it with all that it has made."""
        for change in difference.added("extension"):
            members = change.thing["members"] or ()
            if any(catalog == _KEEPS_ROWS for catalog, _oid in members):
                continue
            difference.take(change.key)
            types = {oid for catalog, oid in members if catalog == "pg_type"}
            for catalog, oid in members:
                if catalog in _KINDS:
                    difference.take(Key(_KINDS[catalog], oid))
            for part in (
                *difference.added("label"),
                *difference.added("range"),
                *difference.added("constraint"),
            ):
                if {part.key.oid, part.thing.get("type"), part.thing.get("of_domain")} & types:
                    difference.take(part.key)
            yield {"called": change.thing["name"], "schema": change.thing["in_schema"], "residue": True}

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Leave it."""
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Leave it; make it where somebody has dropped it since."""
        schema = ident(work.schema_name(operation["schema"]))
        work.run(f"CREATE EXTENSION IF NOT EXISTS {ident(operation['called'])} WITH SCHEMA {schema}")
        return operation
