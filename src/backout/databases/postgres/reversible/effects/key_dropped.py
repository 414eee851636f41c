"""DROP CONSTRAINT of a UNIQUE or primary key, and DROP INDEX of a unique index: from then on nothing refuses what is there twice.

PostgreSQL has no index that only rests. The way back has it built anew before it begins (`ready.py`), and here puts it in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible import constraints, primary
from backout.databases.postgres.reversible.built import KEY_DROPPED, standing_by
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, Bears, Operation
from backout.databases.postgres.reversible.given_back import forward
from backout.databases.postgres.reversible.names import hidden, ident, is_hidden, literal
from backout.databases.postgres.reversible.remedies import is_told, told_once
from backout.databases.postgres.reversible.set_right import tell
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Moved, Work


class KeyDropped:
    """A UNIQUE, primary key or unique index that the migration dropped."""

    kind: ClassVar[str] = KEY_DROPPED
    down_at: ClassVar[int] = 75
    redo_at: ClassVar[int] = 12

    def bears(self, operation: Operation) -> Bears:
        """Earlier code may name it in ON CONFLICT; later code may write what it refuses."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every one that is gone of a plain table that is there."""
        for change in difference.gone("constraint"):
            one = change.thing
            if one["kind"] not in "pu" or not one["index"]:
                continue
            index = difference.before.things[Key("index", one["index"])]
            if not constraints.can_be_built_again(difference.after, index):
                continue
            lost = [n for n in one["columns"] if not _must(difference, one["table"], n)]
            told: Operation = {"called": difference.before.name(change.key), "table": one["table"]}
            if one["kind"] == "p" and lost:
                gives_way = _hidden_among(difference, one["table"], lost)
                if gives_way is None:
                    continue
                record = constraints.kept(one, difference.before) | {"standby": f"{gives_way}_p"}
                told |= {"key": record, "wanted": [primary.standby_of(record)]}
            difference.take(change.key)
            difference.take(Key("index", one["index"]))
            yield told | {"made": constraints.index_kept(index, difference.before, one)}
        for change in difference.gone("index"):
            if change.thing["unique"] and constraints.can_be_built_again(difference.after, change.thing):
                difference.take(change.key)
                yield {
                    "called": difference.before.name(change.key),
                    "table": change.thing["table"],
                    "made": constraints.index_kept(change.thing, difference.before),
                }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Put the index that was built for it in its place."""
        made, called = operation["made"], operation["called"]
        if "key" in operation:
            primary.taken_up(work, operation["key"])
            return {key: value for key, value in operation.items() if key != "wanted"}
        path = work.table_path(operation["table"], called=called)
        if is_told(operation):
            tell(work, change, operation["table"], called)
        index = standing_by(work.now, operation["table"], change)
        if index is None and not work.only_tried:
            raise Moved(
                called, "has not got its index, which is built before the way back: it was dropped meanwhile"
            )
        if index is None:
            work.keys_due.add(operation["table"])
            work.residues.append(
                f"{called} was not tried: its index is built before the way back, which takes a while"
            )
            return operation
        name = ident(made["name"])
        if made["word"] is None:
            work.run(f"ALTER INDEX {work.path('index', index, called=called)} RENAME TO {name}")
            if made["comment"] is not None:
                there = work.path("index", index, called=called)
                work.run(f"COMMENT ON INDEX {there} IS {literal(made['comment'])}")
            return operation
        self._require(work, operation)
        work.run(
            f"ALTER TABLE {path} ADD CONSTRAINT {name} {made['word']} USING INDEX {ident(hidden(change))} {made['deferred']}".rstrip()
        )
        if made["comment"] is not None:
            work.run(f"COMMENT ON CONSTRAINT {name} ON {path} IS {literal(made['comment'])}")
        return operation

    def _require(self, work: Work, operation: Operation) -> None:
        """See that PostgreSQL would not look at every row, under its lock, for a NULL in a primary key."""
        if operation["made"]["word"] != "PRIMARY KEY":
            return
        columns = work.now.columns(operation["table"])
        for attnum in map(int, operation["made"]["key"]):
            if not columns[attnum]["not_null"]:
                raise Moved(
                    operation["called"],
                    f"cannot be a key yet: {columns[attnum]['name']} may still hold NULL. "
                    "Take back the later migrations first, which allowed it",
                )

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Drop it again."""
        made, called = operation["made"], operation["called"]
        path = work.table_path(operation["table"], called=called)
        forward(work, change, operation, turn=self.redo_at)
        if "key" in operation:
            operation = operation | {"wanted": [primary.standby_of(operation["key"])]}
        names = {one["name"] for one in work.now.of_table("constraint", operation["table"]).values()}
        if made["name"] in names:
            work.run(f"ALTER TABLE {path} DROP CONSTRAINT {ident(made['name'])}")
            return told_once(operation)
        # It is none, or not yet one.
        oid = work.again("index", 0, operation["table"], made["name"])
        work.run(f"DROP INDEX {work.path('index', oid, called=called)}")
        return told_once(operation)


def _must(difference: Difference, table: int, attnum: int) -> bool:
    """Tell whether a column must have a value after the migration, too."""
    column = difference.after.things.get(Key("column", table, attnum))
    return column is not None and bool(column["not_null"])


def _hidden_among(difference: Difference, table: int, columns: list[int]) -> str | None:
    """Return the hidden name of the column that a key goes away with; None where another one only need not have a value."""
    names = [str(difference.after.things.get(Key("column", table, n), {"name": ""})["name"]) for n in columns]
    return names[0] if all(is_hidden(name) for name in names) else None
