"""ALTER SEQUENCE: its parameters and whose it is are as before; its numbers go on, and never backwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import BOTH, Bears, Operation
from backout.databases.postgres.reversible.link import objects
from backout.databases.postgres.reversible.names import ident, is_hidden
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.work import Moved, Work

_PARAMETERS = ("type", "start", "increment", "minimum", "maximum", "cache", "cycle")
_TYPES = {21: "smallint", 23: "integer", 20: "bigint"}


class SequenceChanged:
    """A sequence with other parameters, or of another column."""

    kind: ClassVar[str] = "sequence.changed"
    down_at: ClassVar[int] = 15
    redo_at: ClassVar[int] = 15

    def bears(self, operation: Operation) -> Bears:
        """Whoever asks it for a number gets one."""
        return BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take its parameters; whose it is, where that can be said with ALTER SEQUENCE."""
        for change in difference.changed("sequence", *_PARAMETERS, "owned_by"):
            before, after = change.before or {}, change.after or {}
            identity = "i" in [(one["owned_by"] or [""])[-1] for one in (before, after)]
            if is_hidden(before["name"]) or (identity and "owned_by" in change.values):
                continue
            difference.take(change.key, *_PARAMETERS, "owned_by")
            yield {
                "oid": change.key.oid,
                "called": difference.after.name(change.key),
                "from": _told(before),
                "to": _told(after),
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give it its earlier parameters, and its earlier column."""
        return _turn(work, operation, since="to", to="from")

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Give it its later parameters, and its later column."""
        return _turn(work, operation, since="from", to="to")


def _told(thing: dict[str, Any]) -> dict[str, Any]:
    return {name: thing[name] for name in (*_PARAMETERS, "owned_by")}


def _turn(work: Work, operation: Operation, *, since: str, to: str) -> Operation:
    called, wanted = operation["called"], operation[to]
    thing = work.thing("sequence", operation["oid"], called=called)
    if _told(thing) != operation[since]:
        raise Moved(called, "was changed by somebody else since")
    path = work.path("sequence", operation["oid"], called=called)
    if any(thing[name] != wanted[name] for name in _PARAMETERS):
        work.run(f"ALTER SEQUENCE {path} {_parameters(work, path, thing, wanted, called)}")
    if thing["owned_by"] != wanted["owned_by"]:
        work.run(f"ALTER SEQUENCE {path} OWNED BY {_owner(work.now, wanted['owned_by'], called)}")
    # Its bounds may have stayed.
    return operation | {to: _told(work.thing("sequence", operation["oid"], called=called))}


def _parameters(work: Work, path: str, now: dict[str, Any], wanted: dict[str, Any], called: str) -> str:
    """Return the words that set them; where its numbers are beyond the bounds that are wanted, those of now stay."""
    (last,) = objects(work.link, f"SELECT last_value AS value FROM {path}")
    kept = {name: wanted[name] for name in ("type", "minimum", "maximum", "start")}
    if not wanted["minimum"] <= last["value"] <= wanted["maximum"]:
        kept = {name: now[name] for name in ("type", "minimum", "maximum")} | {"start": wanted["start"]}
        if not kept["minimum"] <= kept["start"] <= kept["maximum"]:
            kept["start"] = now["start"]
        work.residues.append(
            f"sequence {called} keeps the bounds that it has: it is at {last['value']}, and never goes back"
        )
    cycle = "CYCLE" if wanted["cycle"] else "NO CYCLE"
    return (
        f"AS {_TYPES[kept['type']]} INCREMENT {wanted['increment']} MINVALUE {kept['minimum']} MAXVALUE {kept['maximum']} "
        f"START {kept['start']} CACHE {wanted['cache']} {cycle}"
    )


def _owner(now: Snapshot, owned_by: list[Any] | None, called: str) -> str:
    if owned_by is None:
        return "NONE"
    table, column = now.things.get(Key("table", owned_by[0])), now.things.get(Key("column", *owned_by[:2]))
    if table is None or column is None:
        raise Moved(called, "was a column's that is not there")
    return ident(now.things[Key("schema", table["schema"])]["name"], table["name"], column["name"])
