"""SET TABLESPACE, SET LOGGED and SET UNLOGGED: a table's or an index's files are others, there and back.

It takes as long as they are big, while nobody else can use them, as the migration did: `db status` says so before.
Source: PostgreSQL 15 documentation, "ALTER TABLE"; src/backend/commands/tablecmds.c, ATPrepChangePersistence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Change, Difference
from backout.databases.postgres.reversible.effects.base import BOTH, Bears, Operation
from backout.databases.postgres.reversible.link import objects
from backout.databases.postgres.reversible.names import ident, is_hidden
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Moved, Work

_LOGGED = {"p": "LOGGED", "u": "UNLOGGED"}


class Placed:
    """A table, index or sequence that is somewhere else, or whose changes are, or are not, in the write-ahead log."""

    kind: ClassVar[str] = "placed"
    down_at: ClassVar[int] = 74
    redo_at: ClassVar[int] = 83

    def bears(self, operation: Operation) -> Bears:
        """No code sees it."""
        return BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it; tables that are in the log no more before those that they refer to, and the other way round."""
        for kind in ("table", "index"):
            for change in difference.changed(kind, "tablespace"):
                if _is_plain(difference, change):
                    difference.take(change.key, "tablespace")
                    yield _told(difference, change, "tablespace")
        tables = [c for c in difference.changed("table", "persistence") if _is_plain(difference, change=c)]
        for change in _in_order(difference, tables):
            difference.take(change.key, "persistence")
            _take_sequences(difference, change)
            yield _told(difference, change, "persistence")
        for change in difference.changed("sequence", "persistence"):
            difference.take(change.key, "persistence")
            yield _told(difference, change, "persistence")

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Put it where it was."""
        return _turn(work, operation, since="to", to="from")

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Put it where the migration did."""
        return _turn(work, operation, since="from", to="to")


def _is_plain(difference: Difference, change: Change) -> bool:
    """Tell whether it is of a table with rows, or a partitioned one, and not of a view."""
    table = change.key.oid if change.key.kind == "table" else change.thing["table"]
    known = not is_hidden(str((change.before or {})["name"]))
    return known and difference.after.things[Key("table", table)]["kind"] in "rp"


def _told(difference: Difference, change: Change, what: str) -> Operation:
    before, after = change.before or {}, change.after or {}
    return {
        "of": change.key.kind,
        "oid": change.key.oid,
        **({"table": after["table"]} if change.key.kind == "index" else {}),
        "called": difference.after.name(change.key),
        "what": what,
        "from": before[what],
        "to": after[what],
    }


def _in_order(difference: Difference, changes: list[Change]) -> Iterator[Change]:
    """Yield tables so that PostgreSQL takes one after the other: none in the log may refer to one that is not.

    Those of a circle of foreign keys are left, which nothing explains.
    """
    left = {change.key.oid: change for change in changes}
    refers = {
        (one["table"], one["to_table"])
        for one in difference.after.things.values()
        if one.get("to_table") and one["table"] != one["to_table"]
    }
    while left:
        ready = [change for oid, change in left.items() if not _waits(oid, change, left, refers)]
        if not ready:
            return
        for change in ready:
            del left[change.key.oid]
            yield change


def _waits(oid: int, change: Change, left: dict[int, Change], refers: set[tuple[int, int]]) -> bool:
    leaves_log = change.thing["persistence"] == "u"
    return any((other, oid) in refers if leaves_log else (oid, other) in refers for other in left)


def _take_sequences(difference: Difference, table: Change) -> None:
    """Take what goes along: the sequences that a table owns."""
    for change in difference.changed("sequence", "persistence"):
        same = (change.before or {})["persistence"] == (table.before or {})["persistence"]
        if same and (change.thing["owned_by"] or [0])[0] == table.key.oid:
            difference.take(change.key, "persistence")


def _turn(work: Work, operation: Operation, *, since: str, to: str) -> Operation:
    kind, called, what = operation["of"], operation["called"], operation["what"]
    there = work.thing(kind, operation["oid"], called=called)
    if there[what] == operation[to]:
        return operation
    if there[what] != operation[since]:
        raise Moved(called, "was put somewhere else by somebody since")
    words = f"SET {_LOGGED[operation[to]]}" if what == "persistence" else f"SET TABLESPACE {_tablespace(work, operation, to)}"  # fmt: skip
    work.rewrite(f"ALTER {kind.upper()} {work.path(kind, operation['oid'], called=called)} {words}")
    return operation


def _tablespace(work: Work, operation: Operation, to: str) -> str:
    """Return the quoted name of a tablespace; 0 is the database's own.

    Raises:
        Moved: It is not there any more.
    """
    own = "(SELECT dattablespace FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"
    found = objects(
        work.link,
        f"SELECT spcname AS name FROM pg_catalog.pg_tablespace WHERE oid = coalesce(nullif({operation[to]}::oid, 0::oid), {own})",
    )
    if not found:
        raise Moved(operation["called"], "was in a tablespace that is not there any more")
    return ident(found[0]["name"])
