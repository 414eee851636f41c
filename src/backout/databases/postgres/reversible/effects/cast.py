"""CREATE CAST and DROP CAST: a cast is nothing but what it says, and is dropped, or made again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.catalog import own_settings
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, Bears, Operation
from backout.databases.postgres.reversible.link import objects, scalar
from backout.databases.postgres.reversible.names import literal
from backout.databases.postgres.reversible.work import Moved, Work

_CONTEXTS = {"i": " AS IMPLICIT", "a": " AS ASSIGNMENT", "e": ""}
_METHODS = {"i": "WITH INOUT", "b": "WITHOUT FUNCTION"}


class Cast:
    """A cast that was made, dropped, or made otherwise."""

    kind: ClassVar[str] = "cast"
    down_at: ClassVar[int] = 8
    redo_at: ClassVar[int] = 8

    def bears(self, operation: Operation) -> Bears:
        """Nobody can tell which statements it decides."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take each that is not a range type's own."""
        for change in [c for c in difference.left.values() if c.key.kind == "cast"]:
            one = change.thing
            if change.before is not None and change.after is not None:
                continue  # its comment alone
            if one["ranges"]:
                continue
            difference.take(change.key)
            told = {key: one[key] for key in ("source", "target", "function", "method", "context", "comment")}
            yield {"called": one["signature"], "from": change.before and told, "to": change.after and told}

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Drop it, or make it again when all else is as it was."""
        return _turn(work, operation, since="to", to="from")

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Drop it, or make it again when all else is as it became."""
        return _turn(work, operation, since="from", to="to")


def _turn(work: Work, operation: Operation, *, since: str, to: str) -> Operation:
    if operation[since] is not None:
        work.run(f"DROP CAST {_types(work, operation[since], operation['called'])}")
    if operation[to] is not None:
        work.at_end.append(lambda: _make(work, operation[to], operation["called"]))
    return operation


def _make(work: Work, cast: Operation, called: str) -> None:
    types = _types(work, cast, called)
    how = _METHODS.get(cast["method"])
    if how is None:
        with own_settings(work.link):
            function = scalar(
                work.link,
                f"SELECT oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc WHERE oid = {cast['function']}",
            )
        if function is None:
            raise Moved(called, "cannot be made again: its function is not there")
        how = f"WITH FUNCTION {function}"
    work.run(f"CREATE CAST {types} {how}{_CONTEXTS[cast['context']]}")
    if cast["comment"] is not None:
        work.run(f"COMMENT ON CAST {types} IS {literal(cast['comment'])}")


def _types(work: Work, cast: Operation, called: str) -> str:
    """Return the types of a cast as they are called now.

    Raises:
        Moved: One is not there.
    """
    with own_settings(work.link):
        found = {
            one["oid"]: one["name"]
            for one in objects(
                work.link,
                "SELECT oid::int8 AS oid, pg_catalog.format_type(oid, NULL) AS name FROM pg_catalog.pg_type "
                f"WHERE oid IN ({cast['source']}, {cast['target']})",
            )
        }
    if len(found) < len({cast["source"], cast["target"]}):
        raise Moved(called, "is of a type that is not there")
    return f"({found[cast['source']]} AS {found[cast['target']]})"
