"""ENABLE, DISABLE, FORCE and NO FORCE ROW LEVEL SECURITY: a table has the state of before again, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, Bears, Operation
from backout.databases.postgres.reversible.names import is_hidden
from backout.databases.postgres.reversible.work import Moved, Work

_SWITCHES = {"row_security": ("DISABLE", "ENABLE"), "force_row_security": ("NO FORCE", "FORCE")}
"""By the value in the catalog: what makes it false, and true."""


class RowSecurity:
    """A table whose policies hold, or hold for its owner too, and did not before; or the other way round."""

    kind: ClassVar[str] = "row_security"
    down_at: ClassVar[int] = 12
    redo_at: ClassVar[int] = 88

    def bears(self, operation: Operation) -> Bears:
        """Nobody can tell what code does that sees fewer rows, or more than it should."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take both switches of every table that was there."""
        for change in difference.changed("table", *_SWITCHES):
            before, after = change.before or {}, change.after or {}
            if is_hidden(str(before["name"])):
                continue
            difference.take(change.key, *_SWITCHES)
            yield {
                "table": change.key.oid,
                "called": difference.after.name(change.key),
                "states": [[one[switch] for switch in _SWITCHES] for one in (before, after)],
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Set the switches as they were before."""
        return _set(work, operation, since=1, to=0)

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Set them as the migration did."""
        return _set(work, operation, since=0, to=1)


def _set(work: Work, operation: Operation, *, since: int, to: int) -> Operation:
    called, states = operation["called"], operation["states"]
    table = work.thing("table", operation["table"], called=called)
    now = [table[switch] for switch in _SWITCHES]
    if now not in (states[since], states[to]):
        raise Moved(called, "has another row level security since")
    path = work.table_path(operation["table"], called=called)
    for words, is_, wanted in zip(_SWITCHES.values(), now, states[to], strict=True):
        if is_ != wanted:
            work.run(f"ALTER TABLE {path} {words[wanted]} ROW LEVEL SECURITY")
    return operation
