"""ALTER TYPE … ADD, DROP, ALTER and RENAME ATTRIBUTE of a composite type of which there are no values: its attributes are as before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, Bears, Operation
from backout.databases.postgres.reversible.link import objects
from backout.databases.postgres.reversible.names import ident, is_hidden, literal
from backout.databases.postgres.reversible.work import Moved, Work

Attribute = list[Any]


class Attributes:
    """A composite type with other attributes. No column is of it: PostgreSQL would lose, or refuse, the values."""

    kind: ClassVar[str] = "type.attributes"
    down_at: ClassVar[int] = 46
    redo_at: ClassVar[int] = 58

    def bears(self, operation: Operation) -> Bears:
        """What code calls with a row of it is refused one of the other."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it where nothing is built on it."""
        for change in difference.changed("type", "attributes"):
            before, after = change.before or {}, change.after or {}
            if is_hidden(before["name"]) or before["needed_by"] or after["needed_by"]:
                continue
            difference.take(change.key, "attributes")
            yield {
                "oid": change.key.oid,
                "called": difference.after.name(change.key),
                "from": before["attributes"],
                "to": after["attributes"],
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give it its earlier attributes."""
        return _turn(work, operation, since="to", to="from")

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give it its later attributes."""
        return _turn(work, operation, since="from", to="to")


def _turn(work: Work, operation: Operation, *, since: str, to: str) -> Operation:
    called, wanted = operation["called"], operation[to] or []
    thing = work.thing("type", operation["oid"], called=called)
    now = thing["attributes"] or []
    if now != (operation[since] or []):
        raise Moved(called, "has other attributes by now")
    if thing["needed_by"]:
        raise Moved(called, f"is needed by now by {', '.join(thing['needed_by'])}")
    path = work.path("type", operation["oid"], called=called)
    same = 0
    while same < min(len(now), len(wanted)) and now[same] == wanted[same]:
        same += 1
    # Their order counts, and one that is added comes last.
    words = [f"DROP ATTRIBUTE {ident(one[0])}" for one in now[same:]]
    if words:
        work.run(f"ALTER TYPE {path} {', '.join(words)}")
    words = [f"ADD ATTRIBUTE {ident(one[0])} {_type(work, one, called)}" for one in wanted[same:]]
    if words:
        work.run(f"ALTER TYPE {path} {', '.join(words)}")
    for one in wanted[same:]:
        if one[4] is not None:
            work.run(f"COMMENT ON COLUMN {path}.{ident(one[0])} IS {literal(one[4])}")
    return operation


def _type(work: Work, one: Attribute, called: str) -> str:
    found = objects(
        work.link,
        f"SELECT pg_catalog.format_type(t.oid, {one[2]}) AS type, CASE WHEN c.oid <> t.typcollation THEN pg_catalog.format('%I.%I', n.nspname, c.collname) END AS collation "
        f"FROM pg_catalog.pg_type t LEFT JOIN (pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace) ON c.oid = {one[3]} "
        f"WHERE t.oid = {one[1]}",
    )
    if not found:
        raise Moved(called, f"cannot have its attribute {one[0]}: its type is not there")
    collation = found[0]["collation"]
    return str(found[0]["type"]) + (f" COLLATE {collation}" if collation else "")
