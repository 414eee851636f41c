"""What the engine itself did to the catalog, told to the difference that is read before COMMIT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.snapshot import Key


def explained(difference: Difference) -> Operation:
    """Return what a statement changed, as the journal tells it, but for tables' files.

    `replaces` is what PostgreSQL put in the place of something of the same name, which is another only by its oid.
    """
    gone = {_place_of(c.thing, c.key): c.key.oid for c in difference.left.values() if c.after is None}
    replaces = [
        [change.key.kind, old, change.key.oid]
        for change in difference.left.values()
        if change.before is None and (old := gone.get(_place_of(change.thing, change.key))) is not None
    ]
    explains = []
    replaced = {(kind, oid) for kind, *oids in replaces for oid in oids}
    for change in difference.left.values():
        if (change.key.kind, change.key.oid) in replaced:
            continue
        files = {"filenode"} if change.key.kind in ("table", "index") else set()
        values = sorted(change.values - files)
        if change.before is None or change.after is None or values:
            explains.append([*change.key, values])
    return {"explains": explains, "replaces": replaces}


def _place_of(thing: Operation, key: Key) -> tuple[Any, ...]:
    return key.kind, thing.get("table"), thing["name"]


def take_explained(difference: Difference, entries: Sequence[Entry]) -> None:
    """Take what the entries of a transaction explain: they were journalled when their statements ran.

    What took the place of something that was not there before is left: the transaction itself has made it. So is what was there
    before where what took its place was dropped then: the transaction has dropped it.
    """
    origin: dict[tuple[str, int], int] = {}
    for entry in entries:
        told = entry.operation.get("explains") or entry.operation.get("hidden", {}).get("explains", [])
        for kind, oid, sub, values in told:
            difference.take(Key(kind, oid, sub), *values)
        for kind, old, new in entry.operation.get("replaces", ()):
            origin[kind, new] = origin.get((kind, old), old)
    for (kind, new), old in origin.items():
        if Key(kind, old) in difference.before.things and Key(kind, new) in difference.after.things:
            difference.take(Key(kind, old))
            difference.take(Key(kind, new))
    _take_files(difference, entries)


def _take_files(difference: Difference, entries: Sequence[Entry]) -> None:
    """Take a table's other file where it is the one that the engine's own statements left, one after the other."""
    files: dict[int, int] = {}
    for entry in entries:
        if "filenode" not in entry.operation:
            continue
        table, (was, is_) = entry.operation["table"], entry.operation["filenode"]
        begun = difference.before.things.get(Key("table", table), {}).get("filenode")
        if files.get(table, begun) == was:
            files[table] = is_
    for table, file in files.items():
        if difference.after.things.get(Key("table", table), {}).get("filenode") == file:
            difference.take(Key("table", table), "filenode")
