"""What the engine itself did to the catalog, told to the difference that is read before COMMIT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from backout.databases.postgres.reversible.difference import Change, Difference, unlike
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.names import is_hidden
from backout.databases.postgres.reversible.snapshot import Key


def explained(difference: Difference) -> Operation:
    """Return what a statement changed, as the journal tells it, but for tables' files.

    `replaces` is what PostgreSQL put in the place of something of the same name, which is another only by its oid.
    """
    changes = [*difference.left.values(), *_hidden(difference)]
    gone = {_place_of(c.thing, c.key): c.key.oid for c in changes if c.after is None}
    replaces = [
        [change.key.kind, old, change.key.oid]
        for change in changes
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


def _hidden(difference: Difference) -> Iterator[Change]:
    """Yield the hidden indexes that came or went: PostgreSQL makes them anew as it does those that are seen."""
    for key, was, is_ in unlike(difference.before, difference.after):
        if (
            key.kind == "index"
            and (was is None or is_ is None)
            and is_hidden(str((was or is_ or {})["name"]))
        ):
            yield Change(key, was, is_)


def _place_of(thing: Operation, key: Key) -> tuple[Any, ...]:
    return key.kind, thing.get("table"), thing["name"]


def origins(entries: Sequence[Entry]) -> dict[Key, Key]:
    """Return of what took the place of something, by what the entries of a transaction tell, what was there at its beginning."""
    found: dict[Key, Key] = {}
    for entry in entries:
        for kind, old, new in entry.operation.get("replaces", ()):
            found[Key(kind, new)] = found.get(Key(kind, old), Key(kind, old))
    return found


def take_explained(difference: Difference, entries: Sequence[Entry]) -> None:
    """Take what the entries of a transaction explain: they were journalled when their statements ran.

    What took the place of something that was not there before is left: the transaction itself has made it. So is what was there
    before, if what took its place is gone.
    """
    for entry in entries:
        told = entry.operation.get("explains") or entry.operation.get("hidden", {}).get("explains", [])
        for kind, oid, sub, values in told:
            difference.take(Key(kind, oid, sub), *values)
    for new, old in origins(entries).items():
        if old in difference.before.things and new in difference.after.things:
            difference.take(old)
            difference.take(new)
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
