"""GRANT, REVOKE and ALTER DEFAULT PRIVILEGES: what was given is taken, and what was taken is given, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.acl import Step
from backout.databases.postgres.reversible.difference import Change, Difference
from backout.databases.postgres.reversible.effects.base import (
    ADDS,
    NEITHER,
    TAKES,
    Bears,
    Operation,
)
from backout.databases.postgres.reversible.names import is_hidden
from backout.databases.postgres.reversible.rights import give
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing
from backout.databases.postgres.reversible.work import Work

_GIVEN, _TAKEN = 86, 90
"""Before and after owners change: a new one may need a privilege in the schema, and an earlier one may have needed it."""
_KINDS = ("schema", "table", "column", "sequence", "function", "type")


class Privileges:
    """A thing on which other privileges are held than before.

    What the catalog has is text that only PostgreSQL reads: `rights_tried.py` completes the operation.
    """

    kind: ClassVar[str] = "privileges"
    down_at: ClassVar[int] = _GIVEN
    redo_at: ClassVar[int] = _GIVEN

    def bears(self, operation: Operation) -> Bears:
        """More privileges refuse nothing."""
        return _bears(operation)

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take them of everything that can be seen."""
        for kind in _KINDS:
            for change in difference.changed(kind, "acl"):
                before, after = change.before or {}, change.after or {}
                if _is_engines(difference.before, kind, before):
                    continue
                difference.take(change.key, "acl")
                yield {
                    "on": kind,
                    "oid": change.key.oid,
                    "sub": change.key.sub,
                    "called": _called(difference, kind, change),
                    "owners": [
                        _owner(difference.before, kind, before),
                        _owner(difference.after, kind, after),
                    ],
                    "acls": [before["acl"], after["acl"]],
                }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give back what was taken, and take what was given."""
        return _turn(work, operation, "back", operation["owners"][0])

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Do as the migration did."""
        return _turn(work, operation, "again", operation["owners"][1])


class DefaultPrivileges:
    """Other privileges on what a role will make."""

    kind: ClassVar[str] = "privileges.default"
    down_at: ClassVar[int] = _GIVEN
    redo_at: ClassVar[int] = _GIVEN

    def bears(self, operation: Operation) -> Bears:
        """More privileges refuse nothing."""
        return _bears(operation)

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take all: a row that comes or goes is one that was, or is, nothing but PostgreSQL's own default."""
        found: dict[tuple[int, int, str], Operation] = {}
        for change in [c for c in difference.left.values() if c.key.kind == "default privilege"]:
            difference.take(change.key)
            one = change.thing
            operation = found.setdefault(
                (one["role"], one["in_schema"], one["objects"]),
                {
                    "on": "default",
                    "role": one["role"],
                    "schema": one["in_schema"],
                    "objects": one["objects"],
                    "called": one["name"],
                    "owners": [one["role"], one["role"]],
                    "acls": [None, None] if not one["in_schema"] else ["{}", "{}"],
                },
            )
            for side, thing in enumerate((change.before, change.after)):
                if thing is not None:
                    operation["acls"][side] = thing["acl"]
        yield from found.values()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Have new things get what they got before."""
        return _turn(work, operation, "back", operation["role"])

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Have them get what the migration said."""
        return _turn(work, operation, "again", operation["role"])


def _table(snapshot: Snapshot, thing: Thing) -> Thing:
    return snapshot.things[Key("table", thing["table"])]


def _is_engines(before: Snapshot, kind: str, thing: Thing) -> bool:
    own = _table(before, thing) if kind == "column" else thing
    return is_hidden(str(thing["name"])) or is_hidden(str(own["name"]))


def _called(difference: Difference, kind: str, change: Change) -> str:
    """Return its name, that of before where it is hidden by now."""
    return (
        difference.before if _is_engines(difference.after, kind, change.after or {}) else difference.after
    ).name(change.key)


def _owner(snapshot: Snapshot, kind: str, thing: Thing) -> int:
    return int((_table(snapshot, thing) if kind == "column" else thing)["owner"])


def _bears(operation: Operation) -> Bears:
    ways = {Step(*one).gives for one in operation["again"]}
    if len(ways) != 1:
        return NEITHER
    return ADDS if ways.pop() else TAKES


def _turn(work: Work, operation: Operation, way: str, owner: int) -> Operation:
    steps = [Step(*one) for one in operation[way]]
    same = operation["owners"][0] == operation["owners"][1]
    first = [one for one in steps if one.gives and same]
    if first:
        give(work, operation, first, owner=owner)
    rest = [one for one in steps if one not in first]
    if rest:
        work.at(_TAKEN, lambda: give(work, operation, rest, owner=owner))
    return operation
