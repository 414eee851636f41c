"""COMMENT ON the database, a schema, table, column, constraint, index, trigger, type, function or sequence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible import functions
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import BOTH, Bears, Operation
from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.work import Work

_KINDS = (
    "schema",
    "table",
    "column",
    "constraint",
    "index",
    "trigger",
    "type",
    "function",
    "sequence",
    "database",
)


class Commented:
    """A thing with another comment."""

    kind: ClassVar[str] = "commented"
    down_at: ClassVar[int] = 72
    redo_at: ClassVar[int] = 72

    def bears(self, operation: Operation) -> Bears:
        """No code reads it."""
        return BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it."""
        for kind in _KINDS:
            for change in difference.changed(kind, "comment"):
                if change.thing.get("of_domain"):
                    continue
                difference.take(change.key, "comment")
                yield {
                    "of": kind,
                    "oid": change.key.oid,
                    "sub": change.key.sub,
                    "table": change.thing.get("table"),
                    "name": change.thing["name"],
                    "called": difference.after.name(change.key),
                    "from": (change.before or {})["comment"],
                    "to": (change.after or {})["comment"],
                }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give the earlier comment back."""
        return _say(work, operation, operation["from"])

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give the later comment again."""
        return _say(work, operation, operation["to"])


def _say(work: Work, operation: Operation, text: str | None) -> Operation:
    kind, called = operation["of"], operation["called"]
    if kind == "function":
        path = functions.path_of(work, operation["oid"], called)
        work.run(f"COMMENT ON ROUTINE {path} IS {literal(text)}")
        return operation
    oid = work.again(kind, operation["oid"], operation["table"], operation["name"])
    thing = work.thing(kind, oid, operation["sub"], called=called)
    if kind in ("schema", "database"):
        subject = f"{kind.upper()} {ident(thing['name'])}"
    elif kind == "column":
        subject = f"COLUMN {work.table_path(thing['table'], called=called)}.{ident(thing['name'])}"
    elif kind in ("constraint", "trigger"):
        subject = f"{kind.upper()} {ident(thing['name'])} ON {work.table_path(thing['table'], called=called)}"
    else:
        subject = f"{kind.upper()} {work.path(kind, oid, called=called)}"
    work.run(f"COMMENT ON {subject} IS {literal(text)}")
    return operation | {"oid": oid}
