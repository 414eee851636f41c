"""ADD CONSTRAINT, of any kind; DROP CONSTRAINT of a foreign key or CHECK; ALTER CONSTRAINT of a foreign key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible import constraints
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import ADDS, NEITHER, TAKES, Bears, Operation
from backout.databases.postgres.reversible.effects.index import TABLES_GONE, is_kept_with_its_column
from backout.databases.postgres.reversible.given_back import forward
from backout.databases.postgres.reversible.hide import require_value
from backout.databases.postgres.reversible.names import hidden, ident
from backout.databases.postgres.reversible.relatives import below
from backout.databases.postgres.reversible.remedies import is_told, told_once
from backout.databases.postgres.reversible.set_right import set_right
from backout.databases.postgres.reversible.snapshot import Key, Thing
from backout.databases.postgres.reversible.work import Work


class ConstraintAdded:
    """A constraint that was not there. On the way back it is dropped, its definition kept."""

    kind: ClassVar[str] = "constraint.added"
    down_at: ClassVar[int] = 10
    redo_at: ClassVar[int] = 90

    def bears(self, operation: Operation) -> Bears:
        """Earlier code may write what it refuses; later code may name a key in ON CONFLICT."""
        return NEITHER if operation["made"]["kind"] in "pux" else TAKES

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every new one on a table that was there; one over new columns alone is hidden with them."""
        for change in difference.added("constraint"):
            one = change.thing
            if one["of_domain"] or not one["local"] or difference.made(Key("constraint", one["parent"])):
                continue
            family = below(difference.after, one["table"])
            if one["parent"] or (family and one["kind"] == "x"):
                continue
            difference.take(change.key)
            _take_below(difference, change.key, family)
            if one["index"] and one["kind"] in "pux":
                index = Key("index", one["index"])
                difference.take(index)
                new = [
                    attnum
                    for attnum in one["columns"]
                    if difference.made(Key("column", one["table"], attnum))
                ]
                if new and is_kept_with_its_column(difference.after.things[index]):
                    continue  # its index is renamed with a hidden column
            elif one["kind"] in "pux":
                continue
            yield {
                "oid": change.key.oid,
                "called": difference.after.name(change.key),
                "made": constraints.kept(one, difference.after),
                "tightened": list(_tightened(difference, one)),
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Drop it; a key to which those of a new table lead, when that is hidden."""
        made = operation["made"]
        if made["kind"] in "pu" and constraints.is_referred_to(work.now, made["table"], made["columns"]):
            work.at(TABLES_GONE, lambda: self._drop(work, operation))
        else:
            self._drop(work, operation)
        return {key: value for key, value in operation.items() if key != "rebuild"}

    def _drop(self, work: Work, operation: Operation) -> None:
        made, called = operation["made"], operation["called"]
        table = work.table_path(made["table"], called=called)
        oid = work.again("constraint", operation["oid"], made["table"], made["name"])
        if oid or not (made.pop("owed", False) or constraints.drop_unfinished(work, operation)):
            thing = work.thing("constraint", oid, called=called)
            work.run(f"ALTER TABLE {table} DROP CONSTRAINT {ident(thing['name'])}")
        for attnum in operation["tightened"]:
            column = work.thing("column", made["table"], attnum, called=called)
            work.run(f"ALTER TABLE {table} ALTER COLUMN {ident(column['name'])} DROP NOT NULL")

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Make it again; what is there already is looked at after the COMMIT, and a key is built then."""
        made = operation["made"]
        if made["kind"] in "fc":
            return operation | {"oid": constraints.add(work, made)}
        if made["kind"] == "x":
            return operation | {"oid": 0, "rebuild": constraints.excluded_again(work, made)}
        of_all = work.thing("table", made["table"], called=operation["called"])["kind"] == "p"
        for attnum in operation["tightened"]:
            require_value(work, made["table"], attnum, operation["called"], f"{hidden(change)}_{attnum}")
        work.keys_due.add(made["table"])
        build = constraints.whole_key if of_all else constraints.rebuilt_key
        return operation | {"oid": 0, "rebuild": build(work, made)}


def _take_below(difference: Difference, constraint: Key, family: list[int]) -> None:
    """Take what PostgreSQL made of a constraint in the tables below, which comes and goes with it."""
    name = difference.after.things[constraint]["name"]
    for change in difference.added("constraint"):
        one = change.thing
        copied = one["table"] in family and one["name"] == name and not one["local"]
        if one["parent"] == constraint.oid or copied:
            difference.take(change.key)
            if one["index"] and one["kind"] in "pu":
                difference.take(Key("index", one["index"]))
                for attnum in one["columns"] if one["kind"] == "p" else ():
                    difference.take(Key("column", one["table"], attnum), "not_null")
            if one["parent"] == constraint.oid:
                _take_below(difference, change.key, [])


def _tightened(difference: Difference, key: Thing) -> Iterator[int]:
    """Take, and yield, the columns that a primary key has made NOT NULL."""
    for attnum in key["columns"] if key["kind"] == "p" else ():
        column = Key("column", key["table"], attnum)
        change = difference.left.get(column)
        if change is not None and "not_null" in change.values:
            difference.take(column, "not_null")
            yield attnum


class ConstraintDropped:
    """A foreign key, CHECK or exclusion constraint that the migration dropped, which is made again on the way back.

    Of the first two for all that is written from then on; PostgreSQL builds the last while nobody else can use the table.
    """

    kind: ClassVar[str] = "constraint.dropped"
    down_at: ClassVar[int] = 80
    redo_at: ClassVar[int] = 10

    def bears(self, operation: Operation) -> Bears:
        """Later code may write what it refuses; earlier code may name an exclusion constraint in ON CONFLICT."""
        return NEITHER if operation["dropped"]["kind"] == "x" else ADDS

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every foreign key, CHECK and exclusion constraint that is gone, on tables that are there."""
        for change in difference.gone("constraint"):
            one = change.thing
            own = Key("table", one["table"]) in difference.after.things and not one["parent"]
            plain = one["kind"] == "f" or (one["kind"] == "c" and _is_plain(difference, one))
            if own and (plain or _is_alone(difference, one)):
                difference.take(change.key)
                if one["kind"] == "x":
                    difference.take(Key("index", one["index"]))
                for other in difference.gone("constraint"):
                    if _comes_from(difference, other.thing, change.key):
                        difference.take(other.key)
                yield {
                    "called": difference.before.name(change.key),
                    "dropped": constraints.kept(one, difference.before),
                }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Make it again, when everything else is there again."""
        add = constraints.exclude if operation["dropped"]["kind"] == "x" else constraints.add
        work.at_end.append(lambda: add(work, operation["dropped"]))
        if is_told(operation):
            work.at_last.append(lambda: set_right(work, change, operation))
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Drop it again; what rows had that it did not allow, and those that were set aside, come back."""
        dropped = operation["dropped"]
        table = work.table_path(dropped["table"], called=operation["called"])
        work.run(f"ALTER TABLE {table} DROP CONSTRAINT {ident(dropped['name'])}")
        forward(work, change, operation, turn=self.redo_at)
        return told_once(operation)


class ConstraintDeferred:
    """A foreign key that is looked at at another moment: DEFERRABLE, INITIALLY DEFERRED, or neither."""

    kind: ClassVar[str] = "constraint.deferred"
    down_at: ClassVar[int] = 62
    redo_at: ClassVar[int] = 62

    def bears(self, operation: Operation) -> Bears:
        """Whoever lets it be looked at later may write in an order that is refused else."""
        return ADDS if operation["to"] > operation["from"] else TAKES

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it."""
        for change in difference.changed("constraint", "deferrable", "deferred"):
            before, after = change.before or {}, change.after or {}
            if after["kind"] != "f" or after["parent"]:
                continue
            difference.take(change.key, "deferrable", "deferred")
            yield {
                "oid": change.key.oid,
                "table": after["table"],
                "name": before["name"],
                "called": difference.after.name(change.key),
                "from": [before["deferrable"], before["deferred"]],
                "to": [after["deferrable"], after["deferred"]],
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Have it looked at as before."""
        return _defer(work, operation, operation["from"])

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Have it looked at as the migration wanted it."""
        return _defer(work, operation, operation["to"])


def _defer(work: Work, operation: Operation, to: list[bool]) -> Operation:
    called = operation["called"]
    oid = work.again("constraint", operation["oid"], operation["table"], operation["name"])
    name = work.thing("constraint", oid, called=called)["name"]
    when = "DEFERRABLE INITIALLY DEFERRED" if to[1] else "DEFERRABLE" if to[0] else "NOT DEFERRABLE"
    table = work.table_path(operation["table"], called=called)
    work.run(f"ALTER TABLE {table} ALTER CONSTRAINT {ident(name)} {when}")
    return operation | {"oid": oid}


def _comes_from(difference: Difference, one: Thing, constraint: Key) -> bool:
    """Tell whether a constraint of a table below is nothing but a part of one."""
    whole, before = difference.before.things[constraint], difference.before
    if one["parent"]:
        parent = Key("constraint", one["parent"])
        return parent == constraint or (
            parent in before.things and _comes_from(difference, before.things[parent], constraint)
        )
    same = one["name"] == whole["name"] and one["kind"] == "c" and not one["local"]
    return same and one["table"] in below(before, whole["table"])


def _is_alone(difference: Difference, one: Thing) -> bool:
    """Tell whether an exclusion constraint is of a table by itself, and its index nothing but that."""
    if one["kind"] != "x" or below(difference.before, one["table"]):
        return False
    index = difference.before.things[Key("index", one["index"])]
    return not any(index[word] for word in ("replica_identity", "clustered", "tablespace"))


def _is_plain(difference: Difference, check: Thing) -> bool:
    """Tell whether a CHECK is enforced, of its table's own, and gone in all that had it from there."""
    same = [
        one
        for oid in below(difference.before, check["table"])
        for one in difference.after.of_table("constraint", oid).values()
        if one["kind"] == "c" and one["name"] == check["name"]
    ]
    return bool(check["local"]) and not same and "NOT ENFORCED" not in check["definition"]
