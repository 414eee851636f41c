"""ADD GENERATED … AS IDENTITY, SET GENERATED and DROP IDENTITY of a column that was there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible import numbering
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import ADDS, NEITHER, TAKES, Bears, Operation
from backout.databases.postgres.reversible.identity import go_on, numbered_by, numbers_of
from backout.databases.postgres.reversible.link import objects
from backout.databases.postgres.reversible.names import ident, is_hidden
from backout.databases.postgres.reversible.relatives import columns_below
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Moved, Work

_KINDS = {"a": "ALWAYS", "d": "BY DEFAULT"}


class Identity:
    """A column that numbers itself now and did not before, or the reverse, or otherwise.

    Its sequence goes with it, and comes back as another one, which goes on where no row has a number yet.
    """

    kind: ClassVar[str] = "identity"
    down_at: ClassVar[int] = 69
    redo_at: ClassVar[int] = 69

    def bears(self, operation: Operation) -> Bears:
        """Who leaves the number out needs an identity; who writes it may not meet one that is always generated."""
        was, is_ = operation["from"], operation["to"]
        if was and is_:
            return ADDS if is_ == "d" else TAKES
        return NEITHER if "a" in (was, is_) else ADDS if is_ else TAKES

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take one that is new, or another; one that is gone was journalled when its statement ran, or is lost."""
        for change in difference.changed("column", "identity"):
            before, after = change.before or {}, change.after or {}
            if not after["identity"] or is_hidden(str(after["name"])):
                continue
            difference.take(change.key, "identity")
            if not before["identity"]:
                for part in difference.added("sequence"):
                    if part.thing["owned_by"] == [change.key.oid, change.key.sub, "i"]:
                        difference.take(part.key)
            if after["inherited"]:
                continue  # it goes with that which the column comes from
            yield {
                "table": change.key.oid,
                "attnum": change.key.sub,
                "called": difference.after.name(change.key),
                "from": before["identity"],
                "to": after["identity"],
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Let it number itself as before."""
        return _turn(work, operation, since="to", to="from")

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Let it number itself as the migration wanted it."""
        return _turn(work, operation, since="from", to="to")


def dropped(work: Work, table: int, attnum: int, run: str) -> Operation:
    """Drop an identity, as a migration asks for it; return the operation that tells of it.

    Args:
        work: The client's transaction.
        table: Oid.
        attnum: The column's number.
        run: The statement.
    """
    key = Key("column", table, attnum)
    called, numbers = work.now.name(key), numbers_of(work, table, attnum)
    was = work.was(key)
    parts = columns_below(work.now, table, work.now.things[key]["name"])
    owned = [
        one.oid
        for one, thing in work.now.things.items()
        if one.kind == "sequence" and thing["owned_by"] == [table, attnum, "i"]
    ]
    work.run(run)
    return {
        "table": table,
        "attnum": attnum,
        "called": called,
        "from": was["identity"] if was is not None else "",
        "to": "",
        "numbers": numbers,
        "explains": [
            [*key, ["identity"]],
            *([*one, ["identity"]] for one in parts),
            *(["sequence", oid, 0, []] for oid in owned),
        ],
    }


def _turn(work: Work, operation: Operation, *, since: str, to: str) -> Operation:
    table, attnum, called = operation["table"], operation["attnum"], operation["called"]
    column = work.thing("column", table, attnum, called=called)
    if column["identity"] != operation[since]:
        raise Moved(called, "numbers itself in another way since")
    command = f"ALTER TABLE {work.table_path(table, called=called)} ALTER COLUMN {ident(column['name'])}"
    if operation[since] and operation[to]:
        work.run(f"{command} SET GENERATED {_KINDS[operation[to]]}")
        return operation
    if operation[to]:
        # When its default is gone, and it is NOT NULL again.
        work.at_end.append(lambda: _give(work, operation))
        return operation
    operation["numbers"] = numbers = numbers_of(work, table, attnum)
    reached = numbers["state"]["last_value"] if numbers is not None else None
    work.run(f"{command} DROP IDENTITY")

    def to_the_other() -> None:
        # What numbered it before, and does again, has stood still.
        operation["sequence"] = numbered_by(work, table, attnum)
        go_on(work, table, attnum, after=reached)

    work.at_end.append(to_the_other)
    return operation


def _require_and_give(work: Work, operation: Operation) -> None:
    """Have a value in every row, which is proven after the COMMIT otherwise: PostgreSQL wants it now, and reads the table for it."""
    table, attnum, called = operation["table"], operation["attnum"], operation["called"]
    column = ident(work.thing("column", table, attnum, called=called)["name"])
    work.run(f"ALTER TABLE {work.table_path(table, called=called)} ALTER COLUMN {column} SET NOT NULL")
    _give(work, operation)


def _give(work: Work, operation: Operation) -> None:
    table, attnum, called = operation["table"], operation["attnum"], operation["called"]
    column = work.thing("column", table, attnum, called=called)
    if not column["not_null"]:
        work.now_or_after_rows(lambda: _require_and_give(work, operation))
        return
    numbering.given(work, table, attnum, operation["numbers"])
    reached = None
    if (other := operation.pop("sequence", None)) is not None and Key("sequence", other) in work.now.things:
        path = work.path("sequence", other, called=called)
        reached = objects(work.link, f"SELECT last_value FROM {path}")[0]["last_value"]
    go_on(work, table, attnum, after=reached)
