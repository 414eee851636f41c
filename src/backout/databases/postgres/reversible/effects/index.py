"""CREATE INDEX and DROP INDEX of indexes that enforce nothing, and CREATE UNIQUE INDEX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.constraints import is_referred_to, names_now
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import BOTH, NEITHER, Bears, Operation
from backout.databases.postgres.reversible.hide import rename, rename_indexes
from backout.databases.postgres.reversible.names import hidden
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing
from backout.databases.postgres.reversible.work import Work

TABLES_GONE = 46
"""The turn of a way back when new tables are hidden, and their foreign keys dropped."""


class IndexAdded:
    """An index that was not there. On the way back it is hidden, or dropped where it would refuse rows."""

    kind: ClassVar[str] = "index.added"
    down_at: ClassVar[int] = 30
    redo_at: ClassVar[int] = 85

    def bears(self, operation: Operation) -> Bears:
        """Only one that is unique refuses rows, or is named in ON CONFLICT."""
        return NEITHER if operation["unique"] else BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every new one on a table that was there; one over new columns is hidden with them."""
        for change in difference.added("index"):
            one = change.thing
            table = difference.after.things[Key("table", one["table"])]
            if one["exclusion"] or difference.made(Key("index", one["parent"] or 0)):
                continue
            if one["unique"] and table["bound"] and one["parent"]:
                continue  # it would have to be given to that of all partitions again
            difference.take(change.key)
            parts = list(_parts(difference.after, change.key.oid))
            for part, _name in parts:
                difference.take(Key("index", part))
            of_new = any(
                difference.made(Key("column", one["table"], attnum))
                for attnum in one["columns"]
                if attnum > 0
            )
            if of_new and is_kept_with_its_column(one):
                continue
            yield added(difference.after, change.key.oid) | ({"parts": parts} if parts else {})

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it; drop one that is unique: where the foreign key of a new table leads to it, when that is hidden."""
        if not operation["unique"]:
            oid = _found(work, operation, operation["name"])
            rename(work, "index", oid, hidden(change), called=operation["called"])
            rename_parts(work, operation, change)
            return operation
        index = work.now.things.get(Key("index", _found(work, operation, operation["name"])))
        if index is not None and is_referred_to(work.now, operation["table"], index["columns"]):
            work.at(TABLES_GONE, lambda: self._drop(work, operation))
        else:
            self._drop(work, operation)
        return {key: value for key, value in operation.items() if key != "rebuild"}

    def _drop(self, work: Work, operation: Operation) -> None:
        oid = _found(work, operation, operation["name"])
        if oid or not operation.get("rebuild"):  # else it was never built
            work.run(f"DROP INDEX {work.path('index', oid, called=operation['called'])}")

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it again; a unique one is built anew after the COMMIT, while the table is written."""
        if not operation["unique"]:
            oid = _found(work, operation, hidden(change))
            rename(work, "index", oid, operation["name"], called=operation["called"])
            rename_parts(work, operation)
            return operation
        work.keys_due.add(operation["table"])
        definition = str(operation["definition"])
        if work.thing("table", operation["table"], called=operation["called"])["kind"] != "p":
            # PostgreSQL builds none of all partitions while they are written.
            definition = definition.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)
        rebuild = {
            "table": operation["table"],
            "name": operation["name"],
            "definition": definition,
            "word": None,
            "names": names_now(work, operation["table"]),
            "deferred": "",
            "comment": None,
        }
        return operation | {"oid": 0, "rebuild": rebuild}


def _parts(now: Snapshot, index: int) -> Iterator[tuple[int, str]]:
    """Yield oid and name of the indexes of partitions that are parts of one, at every level."""
    for key, one in now.things.items():
        if key.kind == "index" and one["parent"] == index:
            yield key.oid, one["name"]
            yield from _parts(now, key.oid)


def rename_parts(work: Work, operation: Operation, change: int | None = None) -> None:
    """Hide the parts of an index of a partitioned table, or show them again; a partition may be dropped since."""
    parts = operation.get("parts", ())
    if parts:
        rename_indexes(
            work, {oid: name if change is None else f"{hidden(change)}_b{oid}" for oid, name in parts}
        )


def parts_of(now: Snapshot, was: Snapshot, index: int) -> list[tuple[int, str]]:
    """Return oid and name of then of the indexes that are parts of one."""
    return [
        (oid, str(was.things.get(Key("index", oid), {"name": name})["name"]))
        for oid, name in _parts(now, index)
    ]


def is_kept_with_its_column(index: Thing) -> bool:
    """Tell whether an index over a new column is hidden with that: not one that would refuse what is NULL in it twice."""
    return not index["nulls_not_distinct"] and not index["exclusion"]


def _found(work: Work, operation: Operation, name: str) -> int:
    """Return an index's oid; by its name where it was built anew (REINDEX CONCURRENTLY, or the way forward); else 0."""
    return work.again("index", operation["oid"], operation["table"], name)


def added(now: Snapshot, oid: int) -> Operation:
    """Return the operation that tells of a new index."""
    key = Key("index", oid)
    one = now.things[key]
    kept = {name: one[name] for name in ("name", "table", "unique", "definition")}
    return {"oid": oid, "called": now.name(key), **kept}


class IndexHidden:
    """An index that the migration dropped, as the engine does it: hidden, and kept up to date."""

    kind: ClassVar[str] = "index.hidden"
    down_at: ClassVar[int] = 65
    redo_at: ClassVar[int] = 30

    def bears(self, operation: Operation) -> Bears:
        """It enforces nothing, and is kept up to date."""
        return BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Find none: it was softened, or is lost, which nobody may explain."""
        yield from ()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it."""
        oid = _found(work, operation, hidden(change))
        rename(work, "index", oid, operation["name"], called=operation["called"])
        rename_parts(work, operation)
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it again."""
        oid = _found(work, operation, operation["name"])
        rename(work, "index", oid, hidden(change), called=operation["called"])
        rename_parts(work, operation, change)
        return operation
