"""RENAME of a column, table, constraint, index, trigger, type, function, sequence or schema, and SET SCHEMA."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from backout.databases.postgres.reversible import functions
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import BOTH, NEITHER, Bears, Operation
from backout.databases.postgres.reversible.names import hidden, ident
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Moved, Work

_KINDS = ("column", "table", "constraint", "index", "trigger", "type", "function", "sequence", "schema")
_WORDS = {"table": "TABLE", "index": "INDEX", "sequence": "SEQUENCE", "type": "TYPE"}


class Renamed:
    """A thing with another name, or in another schema."""

    kind: ClassVar[str] = "renamed"
    down_at: ClassVar[int] = 50
    redo_at: ClassVar[int] = 50

    def bears(self, operation: Operation) -> Bears:
        """Code calls columns, tables, types and functions by their names."""
        return NEITHER if operation["of"] in ("column", "table", "type", "function", "schema") else BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every new name, and every other schema."""
        for kind in _KINDS:
            for change in difference.changed(kind, "name", "schema"):
                before, after = change.before or {}, change.after or {}
                difference.take(change.key, "name", "schema")
                if _follows(difference, kind, change.key, before, after):
                    continue
                yield {
                    "of": kind,
                    "oid": change.key.oid,
                    "sub": change.key.sub,
                    "table": after.get("table"),
                    "called": difference.after.name(change.key),
                    "from": [before["name"], before.get("schema")],
                    "to": [after["name"], after.get("schema")],
                }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give the earlier name back."""
        return _name(work, change, operation, operation["to"], operation["from"])

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give the later name again."""
        return _name(work, change, operation, operation["from"], operation["to"])


def _follows(difference: Difference, kind: str, key: Key, before: Operation, after: Operation) -> bool:
    """Tell whether something has its new name or schema from another: an index from its constraint, or from its table.

    What is inherited has its name from where it comes from; but the index of a partition has one of its own.
    """
    if kind == "column":
        return bool(before["inherited"] and after["inherited"])
    if kind == "constraint" and after["kind"] not in "pux":
        return bool(after["parent"]) or not after["local"]
    if kind == "trigger":
        return bool(after["parent"])
    if kind == "index":
        owners = [
            k
            for k, c in difference.after.things.items()
            if k.kind == "constraint" and c["index"] == key.oid and c["kind"] in "pux"
        ]
        if owners and before["name"] != after["name"]:
            return True
        moved = (
            difference.before.things.get(Key("table", before["table"]), {}).get("schema") != after["schema"]
        )
        return bool(before["name"] == after["name"] and moved)
    return bool(kind == "sequence" and before["name"] == after["name"] and before["owned_by"])


def _name(work: Work, change: int, told: Operation, now: list[Any], to: list[Any]) -> Operation:
    """Rename what is called so now; return the operation with the identity that it was found by."""
    kind, called = told["of"], told["called"]
    if kind == "function":
        return _name_function(work, told, now, to)
    operation = told | {"oid": work.again(kind, told["oid"], told["table"], now[0])}
    thing = work.thing(kind, operation["oid"], operation["sub"], called=called)
    if thing["name"] != now[0]:
        raise Moved(called, f"is called {thing['name']} now")
    if now[1] != to[1]:
        if thing["schema"] != now[1]:
            raise Moved(called, f"is in the schema {work.schema_name(thing['schema'])} now")
        work.run(
            f"ALTER {_WORDS[kind]} {work.path(kind, operation['oid'], called=called)} SET SCHEMA {ident(work.schema_name(to[1]))}"
        )
    if now[0] == to[0]:
        return operation
    if _taken(work, operation, thing, to[0]):
        # Two that change names: this one steps aside until the other has gone.
        _rename(work, operation, hidden(change))
        work.at_end.append(lambda: _rename(work, operation, to[0]))
    else:
        _rename(work, operation, to[0])
    return operation


def _name_function(work: Work, told: Operation, now: list[Any], to: list[Any]) -> Operation:
    oid, called = told["oid"], told["called"]
    name, schema = functions.standing(work, oid, called)
    if (name, schema) != (now[0], now[1]):
        raise Moved(called, f"is called {name} now, or is in another schema")
    if now[1] != to[1]:
        work.run(
            f"ALTER ROUTINE {functions.path_of(work, oid, called)} SET SCHEMA {ident(work.schema_name(to[1]))}"
        )
    if now[0] != to[0]:
        work.run(f"ALTER ROUTINE {functions.path_of(work, oid, called)} RENAME TO {ident(to[0])}")
    return told


def _taken(work: Work, operation: Operation, thing: Operation, name: str) -> bool:
    where = "table" if operation["of"] in ("column", "constraint", "trigger") else "schema"
    kinds = (
        ("table", "index", "sequence")
        if operation["of"] in ("table", "index", "sequence")
        else (operation["of"],)
    )
    return any(
        key.kind in kinds and one["name"] == name and one.get(where) == thing.get(where)
        for key, one in work.now.things.items()
    )


def _rename(work: Work, operation: Operation, name: str) -> None:
    kind, called = operation["of"], operation["called"]
    thing = work.thing(kind, operation["oid"], operation["sub"], called=called)
    if kind == "schema":
        work.run(f"ALTER SCHEMA {ident(thing['name'])} RENAME TO {ident(name)}")
    elif kind == "trigger":
        table = work.table_path(thing["table"], called=called)
        work.run(f"ALTER TRIGGER {ident(thing['name'])} ON {table} RENAME TO {ident(name)}")
    elif kind == "constraint" and thing["index"] and thing["parent"]:
        index = work.path("index", thing["index"], called=called)
        work.run(f"ALTER INDEX {index} RENAME TO {ident(name)}")
    elif kind in ("column", "constraint"):
        table = work.table_path(thing["table"], called=called)
        work.run(f"ALTER TABLE {table} RENAME {kind.upper()} {ident(thing['name'])} TO {ident(name)}")
    else:
        work.run(
            f"ALTER {_WORDS[kind]} {work.path(kind, operation['oid'], called=called)} RENAME TO {ident(name)}"
        )
