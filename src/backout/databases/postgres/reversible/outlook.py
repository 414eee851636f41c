"""Whether a way back would work, as far as the journal and the catalog tell. Pure.

What they cannot tell (a lock that is not to be had, a value that a constraint refuses) only trying tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from backout.databases.postgres.reversible.following import ASIDE
from backout.databases.postgres.reversible.held import held
from backout.databases.postgres.reversible.journal import Entry, is_hiding
from backout.databases.postgres.reversible.policies import standing
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.views import VIEWS

_HIDDEN = (
    "column.hidden",
    "table.hidden",
    "type.hidden",
    "sequence.hidden",
    "index.hidden",
    "trigger.hidden",
    "function.hidden",
    "schema.hidden",
)
_IN_FAMILIES = ("partition.attached", "partition.detached", "inherits")
_ADDED = (
    "column.added",
    "table.added",
    "type.added",
    "sequence.added",
    "trigger.added",
    "function.added",
    "named.added",
)


def obstacles(now: Snapshot, entries: Sequence[Entry]) -> list[str]:
    """Return what is not as the journal says it is, so that the way back would be refused.

    Args:
        now: The catalog.
        entries: Of all migrations that would be taken back.
    """
    found: list[str] = []
    there = {one.change for one in held(now, entries)}
    later = _renamed_later(entries)
    for entry in entries:
        twin = entry.kind == "column.retyped" and entry.operation["form"] == "twin"
        if (twin or entry.kind in _HIDDEN) and is_hiding(entry) and entry.id not in there:
            found.append(f"{_called(entry)} is not hidden any more")
        elif entry.kind == ASIDE and entry.id not in there:
            found.append(f"{_called(entry)} has lost the table with its values")
        elif entry.kind == "table.hidden":
            found += _name_taken(now, entry, entries)
        elif entry.kind in _ADDED:
            found += _is_gone(now, entry) if not _comes_back(entry, entries) else ()
        elif entry.kind in _IN_FAMILIES and Key("table", entry.operation["table"]) not in now.things:
            found.append(f"{_called(entry)} is not there any more")
        elif entry.kind == "renamed" and entry.id not in later:
            found += _renamed(now, entry, entry.operation["to"][0])
        elif entry.kind in ("policy.added", "policy.changed"):
            found += _policy(now, entry, "to", [one for one in entries if one.part > entry.part])
    return found + _views_missing(now, reversed(entries), "after", "before")


def obstacles_again(now: Snapshot, entries: Sequence[Entry]) -> list[str]:
    """Return what is not as the journal says it is, so that the way forward would be refused; arguments as of `obstacles`."""
    found: list[str] = []
    there = {one.change for one in held(now, entries)}
    renamed: set[tuple[object, ...]] = set()
    for entry in entries:
        told = entry.operation
        if entry.kind in _ADDED:
            if entry.id not in there:
                found.append(f"{_called(entry)} is not hidden any more")
            found += _taken_since(now, entry, entries)
        elif entry.kind == "renamed":
            key = (told["of"], told["oid"], told["sub"])
            if key not in renamed:  # a later rename begins where this one ends
                found += _renamed(now, entry, told["from"][0])
            renamed.add(key)
        elif entry.kind in _HIDDEN or entry.kind == ASIDE:
            found += _is_gone(now, entry)
        elif entry.kind in _IN_FAMILIES and Key("table", entry.operation["table"]) not in now.things:
            found.append(f"{_called(entry)} is not there any more")
        elif entry.kind in ("policy.dropped", "policy.changed"):
            found += _policy(now, entry, "from", [one for one in entries if one.part < entry.part])
    return found + _views_missing(now, entries, "before", "after")


def _policy(now: Snapshot, entry: Entry, side: str, sooner: Sequence[Entry]) -> Iterator[str]:
    """Yield it if a policy is not as it was left, unless one of those that are worked on sooner may have changed it."""
    told = entry.operation
    if any(one.kind == "renamed" or one.operation.get("table") == told["table"] for one in sooner):
        return
    found = standing(now, told["oid"], told["table"], told[side])
    if isinstance(found, str):
        yield f"{told['called']} {found}"


def _taken_since(now: Snapshot, entry: Entry, entries: Sequence[Entry]) -> Iterator[str]:
    """Yield it if something that stays has the name of a table or column that would be there again."""
    record, kind = entry.operation.get("hidden") or {}, entry.kind.partition(".")[0]
    where = {"table": "schema", "column": "table"}.get(kind)
    if where is None or not record:
        return
    leaving = {
        Key(kind, int(told.get("table") or told["oid"]), int(told.get("attnum") or told.get("sub") or 0))
        for one in entries
        for told in [one.operation.get("hidden") or one.operation]
        if one.kind == f"{kind}.hidden" or (one.kind == "renamed" and told["of"] == kind)
    }
    for key, thing in now.things.items():
        same = (thing["name"], thing.get(where)) == (record["name"], record[where])
        if key.kind == kind and same and key not in leaving:
            yield f"{_called(entry)} cannot be made again: another {kind} has its name"


def _views_missing(now: Snapshot, entries: Iterable[Entry], since: str, to: str) -> list[str]:
    """Return the views that would have to be there when it is their turn, to be dropped, and are not."""
    found = []
    there = {(one["schema"], one["name"]) for one in now.things.values() if one.get("kind") in VIEWS}
    for entry in entries:
        if entry.kind == "views":
            told, made = entry.operation[since], entry.operation[to]
            found += [
                f"the view {one['called']} is not there any more"
                for one in told
                if (one["schema"], one["name"]) not in there
            ]
            there -= {(one["schema"], one["name"]) for one in told}
            there |= {(one["schema"], one["name"]) for one in made}
    return found


def _comes_back(added: Entry, entries: Sequence[Entry]) -> bool:
    """Tell whether a column that was made is one that was dropped since, and is added again before."""
    place = (added.operation.get("table"), added.operation.get("attnum"))
    return added.kind == "column.added" and any(
        one.kind == ASIDE and (one.operation["table"], one.operation["attnum"]) == place for one in entries
    )


def _called(entry: Entry) -> str:
    told = entry.operation
    return str(told.get("called") or told.get("hidden", {}).get("called"))


def _is_gone(now: Snapshot, entry: Entry) -> Iterator[str]:
    told, kind = entry.operation.get("hidden") or entry.operation, entry.kind.partition(".")[0]
    if kind == "named":
        kind = told["of"]
    oid = told["table"] if kind in ("column", "table") else told["oid"]
    if Key(kind, oid, told.get("attnum") or 0 if kind == "column" else 0) not in now.things:
        yield f"{_called(entry)} is not there any more"


def _renamed(now: Snapshot, entry: Entry, name: str) -> Iterator[str]:
    told = entry.operation
    thing = now.things.get(Key(told["of"], told["oid"], told["sub"]))
    if thing is None:
        yield f"{_called(entry)} is not there any more"
    elif thing["name"] != name:
        yield f"{_called(entry)} is called {thing['name']} now"


def _renamed_later(entries: Sequence[Entry]) -> set[int]:
    """Return the entries whose name a later one of the same ways has changed again, or hidden."""
    last: dict[tuple[object, ...], int] = {}
    over = set()
    for entry in entries:
        told = entry.operation.get("hidden") or entry.operation
        if entry.kind == "renamed":
            key = (told["of"], told["oid"], told["sub"])
        elif entry.kind in ("column.hidden", ASIDE):
            key = ("column", told["table"], told["attnum"])
        elif entry.kind == "table.hidden":
            key = ("table", told["table"], 0)
        elif entry.kind in _HIDDEN:
            key = (entry.kind.partition(".")[0], told["oid"], 0)
        else:
            continue
        if key in last:
            over.add(last[key])
        last[key] = entry.id
    return over


def _name_taken(now: Snapshot, entry: Entry, entries: Sequence[Entry]) -> Iterator[str]:
    """Yield it if a table that stays has the name of one that would come back."""
    record = entry.operation["hidden"]
    leaving = {
        one.operation.get("table") or one.operation.get("oid")
        for one in entries
        if one.kind == "table.added" or (one.kind == "renamed" and one.operation["of"] == "table")
    }
    for key, thing in now.things.items():
        same = (thing["name"], thing.get("schema")) == (record["name"], record["schema"])
        if key.kind == "table" and same and key.oid not in leaving:
            yield f"{_called(entry)} cannot come back: another table has its name"
