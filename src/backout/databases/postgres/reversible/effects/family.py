"""ATTACH and DETACH PARTITION, INHERIT and NO INHERIT of tables that were there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from backout.databases.postgres.reversible.difference import Change, Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, Bears, Operation
from backout.databases.postgres.reversible.families import default_of, join, leave, level
from backout.databases.postgres.reversible.names import ident, is_hidden
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Work

_OF_FAMILY = {
    "column": ("inherited", "local"),
    "constraint": ("parent", "local"),
    "index": ("parent",),
    "table": ("parents", "bound"),
}


class PartitionDetached:
    """A partition that the migration detached."""

    kind: ClassVar[str] = "partition.detached"
    down_at: ClassVar[int] = 57
    redo_at: ClassVar[int] = 43

    def bears(self, operation: Operation) -> Bears:
        """Its rows are in the other table for the one, and not for the other."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Find none: what tells its rows was kept when the statement ran."""
        yield from ()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Attach it again, with the rows that were written since to where it was."""
        return {
            "table": operation["table"],
            "called": operation["called"],
            "moved": join(work, operation["family"], change, proves=True),
        }

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Detach it again."""
        family = leave(work, operation["table"])
        tell_moved(work, operation)
        return {"table": operation["table"], "called": operation["called"], "family": family}


class PartitionAttached:
    """A table that the migration made a partition."""

    kind: ClassVar[str] = "partition.attached"
    down_at: ClassVar[int] = 43
    redo_at: ClassVar[int] = 57

    def bears(self, operation: Operation) -> Bears:
        """Its rows are in the other table for the one, and not for the other."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it, with what PostgreSQL made for it: indexes, keys and foreign keys."""
        for change in difference.changed("table", "bound"):
            before, after = change.before or {}, change.after or {}
            if before["bound"] or not after["bound"] or is_hidden(str(after["name"])):
                continue
            table = change.key.oid
            made = [
                [part.key.kind, part.key.oid]
                for kind in ("constraint", "index")
                for part in difference.added(kind)
                if part.thing["table"] == table and part.thing["parent"]
            ]
            owned = {
                part.thing["index"] for part in difference.added("constraint") if part.thing["table"] == table
            }
            _take(difference, table)
            yield {
                "table": table,
                "called": difference.after.name(change.key),
                "parent": {"table": after["parents"][0]},
                "made": [one for one in made if one[1] not in owned],
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Detach it, and drop what was made for it."""
        table, called = operation["table"], operation["called"]
        parent = operation["parent"]["table"]
        family = leave(work, table)
        for kind, oid in operation["made"]:
            if Key(kind, oid) not in work.now.things:
                continue
            name = ident(work.thing(kind, oid, called=called)["name"])
            if kind == "constraint":
                work.run(f"ALTER TABLE {work.table_path(table, called=called)} DROP CONSTRAINT {name}")
            else:
                work.run(f"DROP INDEX {work.path(kind, oid, called=called)}")
        if default_of(work.now, parent) is not None:
            above = work.now.name(Key("table", parent))
            work.residues.append(f"rows that were written since into {called}, by way of {above}, stay in it")
        return operation | {"family": family}

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Attach it again."""
        join(work, operation["family"], change)
        before = work.begun
        made = [
            [key.kind, key.oid]
            for key, one in work.now.things.items()
            if key.kind in ("constraint", "index")
            and one["table"] == operation["table"]
            and (before is None or key not in before.things)
        ]
        owned = {one["index"] for one in work.now.of_table("constraint", operation["table"]).values()}
        kept = {name: value for name, value in operation.items() if name != "family"}
        return kept | {"made": [one for one in made if one[1] not in owned]}


class Inherits:
    """A table that inherits from others than before."""

    kind: ClassVar[str] = "inherits"
    down_at: ClassVar[int] = 43
    redo_at: ClassVar[int] = 57

    def bears(self, operation: Operation) -> Bears:
        """Its rows are among those of another table for the one, and not for the other."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it."""
        for change in difference.changed("table", "parents"):
            before, after = change.before or {}, change.after or {}
            if before["bound"] or after["bound"] or is_hidden(str(after["name"])):
                continue
            _take(difference, change.key.oid)
            yield {
                "table": change.key.oid,
                "called": difference.after.name(change.key),
                "from": _tables(before),
                "to": _tables(after),
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Let it inherit as before."""
        return _inherit(work, operation, since="to", to="from")

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Let it inherit as the migration wanted it."""
        return _inherit(work, operation, since="from", to="to")


def tell_moved(work: Work, operation: Operation) -> None:
    """Tell which rows go with a partition that were in another one when it went the first time."""
    if operation.get("moved"):
        work.residues.append(
            f"{operation['moved']} row(s) that were in the default partition before are in {operation['called']}, and go with it"
        )


def _tables(table: dict[str, Any]) -> list[dict[str, int]]:
    return [{"table": parent} for parent in table["parents"] or ()]


def _take(difference: Difference, table: int) -> None:
    """Take all that joining a family, or leaving one, changes of a table."""
    for change in list(difference.left.values()):
        if _is_of(change, table) and change.values:
            difference.take(change.key, *_OF_FAMILY.get(change.key.kind, ()))
        elif change.before is None and change.thing.get("parent") and _is_of(change, table):
            difference.take(change.key)


def _is_of(change: Change, table: int) -> bool:
    return table in (change.thing.get("table", change.key.oid), change.thing.get("to_table"))


def _inherit(work: Work, operation: Operation, *, since: str, to: str) -> Operation:
    called = operation["called"]
    path = work.table_path(operation["table"], called=called)
    for word, ones, others in (("NO INHERIT", since, to), ("INHERIT", to, since)):
        for one in operation[ones]:
            if one not in operation[others]:
                if word == "INHERIT":
                    level(work, one["table"], operation["table"], called, exactly=False)
                work.run(f"ALTER TABLE {path} {word} {work.table_path(one['table'], called=called)}")
    return operation
