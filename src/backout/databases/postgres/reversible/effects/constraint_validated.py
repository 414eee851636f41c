"""VALIDATE CONSTRAINT: the foreign key or CHECK is NOT VALID again, which no row is looked at for; forward it is proven anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible import constraints
from backout.databases.postgres.reversible.difference import Change, Difference
from backout.databases.postgres.reversible.effects.base import BOTH, Bears, Operation
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.relatives import below
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Work


class ConstraintValidated:
    """A constraint that was NOT VALID, and holds for every row by now.

    What is written is looked at by PostgreSQL on both sides. Forward it is proven after the COMMIT (`due.py`).
    """

    kind: ClassVar[str] = "constraint.validated"
    down_at: ClassVar[int] = 49
    redo_at: ClassVar[int] = 49

    def bears(self, operation: Operation) -> Bears:
        """Neither lets anybody write what the other refuses."""
        return BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it, with those of the tables below that come from it alone."""
        for change in difference.changed("constraint", "valid"):
            before, after = change.before or {}, change.after or {}
            # Else it was NOT ENFORCED, or is by now.
            if not str(before["definition"]).endswith(" NOT VALID") or not after["valid"]:
                continue
            family = _family(difference, change)
            if not _are_made_so_again(difference, family):
                continue
            for one in family:
                difference.take(one, "valid")
            yield {
                "oid": change.key.oid,
                "table": after["table"],
                "to_table": after["to_table"],
                "name": before["name"],
                "called": difference.after.name(change.key),
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Make it again, NOT VALID, when everything else is as it was."""
        told = dict(operation)
        work.at_end.append(lambda: told.update(oid=_unproven(work, told)))
        return told

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Find it; it is proven after the COMMIT."""
        return operation | {"oid": _found(work, operation)}


def _family(difference: Difference, change: Change) -> list[Key]:
    """Return a constraint and those of its name in the tables below."""
    if change.thing["kind"] != "c" or change.thing["no_inherit"]:
        return [change.key]
    below_it = (_named(difference, one, change) for one in below(difference.after, change.thing["table"]))
    return [change.key, *(key for keys in below_it for key in keys)]


def _named(difference: Difference, table: int, change: Change) -> list[Key]:
    """Return the CHECK of that name of a table."""
    there = difference.after.of_table("constraint", table)
    return [key for key, one in there.items() if (one["kind"], one["name"]) == ("c", change.thing["name"])]


def _are_made_so_again(difference: Difference, family: list[Key]) -> bool:
    """Tell whether constraints are NOT VALID again, all of them, when the first is made again."""
    first, after = family[0], difference.after
    one = after.things[first]
    if one["kind"] == "f":
        ends = (after.things[Key("table", one[word])] for word in ("table", "to_table"))
        return not one["parent"] and all(end["kind"] == "r" for end in ends)
    changes = [difference.left.get(key) for key in family]
    parents = {
        parent
        for key in family
        for parent in after.things[Key("table", after.things[key]["table"])]["parents"] or ()
    } - {after.things[key]["table"] for key in family}
    return (
        one["kind"] == "c"
        and not one["of_domain"]
        and all(change is not None and "valid" in change.values for change in changes)
        and all(bool(after.things[key]["local"]) is (key == first) for key in family)
        and not any(_named(difference, parent, Change(first, one, one)) for parent in parents)
    )


def _found(work: Work, operation: Operation) -> int:
    oid = work.again("constraint", operation["oid"], operation["table"], operation["name"])
    work.thing("constraint", oid, called=operation["called"])
    return oid


def _unproven(work: Work, operation: Operation) -> int:
    """Make a constraint again, NOT VALID; return its oid."""
    oid, called = _found(work, operation), operation["called"]
    thing = work.thing("constraint", oid, called=called)
    if not thing["valid"]:
        return oid
    kept = constraints.kept(thing, work.now)
    table = work.table_path(operation["table"], called=called)
    work.run(f"ALTER TABLE {table} DROP CONSTRAINT {ident(thing['name'])}")
    return constraints.add(work, kept)
