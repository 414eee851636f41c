"""ALTER … OWNER TO: the earlier owner has it again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Change, Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, Bears, Operation
from backout.databases.postgres.reversible.names import is_hidden
from backout.databases.postgres.reversible.rights import place_of
from backout.databases.postgres.reversible.roles import found_again
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Moved, Work

_SCHEMAS, _OTHERS = 87, 89
"""An owner needs CREATE in the schema, which the schema's own owner has."""


class Owner:
    """A schema, table, view, sequence, type or function of another role."""

    kind: ClassVar[str] = "owner"
    down_at: ClassVar[int] = _SCHEMAS
    redo_at: ClassVar[int] = _SCHEMAS

    def bears(self, operation: Operation) -> Bears:
        """Nobody can tell as which role code works."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take all that can be seen; what is a table's own goes with it."""
        for kind in ("schema", "table", "sequence", "type", "function"):
            for change in difference.changed(kind, "owner"):
                before, after = change.before or {}, change.after or {}
                if is_hidden(str(before["name"])):
                    continue
                difference.take(change.key, "owner")
                if not _goes_with_table(difference, change):
                    yield {
                        "of": kind,
                        "on": kind,
                        "oid": change.key.oid,
                        "called": difference.after.name(change.key),
                        "owners": [before["owner"], after["owner"]],
                    }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give it back."""
        return _turn(work, operation, since=1, to=0)

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give it away again."""
        return _turn(work, operation, since=0, to=1)


def _goes_with_table(difference: Difference, change: Change) -> bool:
    owned_by = change.thing.get("owned_by") or [0]
    return Key("table", owned_by[0]) in difference.after.things


def _turn(work: Work, operation: Operation, *, since: int, to: int) -> Operation:
    if operation["of"] == "schema":
        _give(work, operation, since=since, to=to)
    else:
        work.at(_OTHERS, lambda: _give(work, operation, since=since, to=to))
    return operation


def _give(work: Work, operation: Operation, *, since: int, to: int) -> None:
    called, owners = operation["called"], operation["owners"]
    known = found_again(work.link, {int(oid): name for oid, name in operation["roles"].items()}, called)
    place = place_of(work.link, operation, called)
    if place.owner == known[owners[to]].oid:
        return
    if place.owner != known[owners[since]].oid:
        raise Moved(called, "has another owner since")
    work.run(f"ALTER {place.path} OWNER TO {known[owners[to]].name}")
