"""What a transaction did to the catalog, and what of it has been explained. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from backout.databases.postgres.reversible.catalog import KINDS
from backout.databases.postgres.reversible.names import is_hidden
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing

_TEXTS = {
    "type_text",
    "bound_text",
    "default_text",
    "definition",
    "signature",
    "role_names",
    "owner_name",
    "objects",
    "using_text",
    "check_text",
    "needed_by",
    "shows",
}
"""Made of names for people: they change when something else is renamed or hidden, or comes to need a view."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was.

    Attributes:
        before: None: it was not there.
        after: None: it is gone.
        values: What of it has changed, where it was and is there.
    """

    key: Key
    before: Thing | None
    after: Thing | None
    values: frozenset[str] = frozenset()

    @property
    def thing(self) -> Thing:
        """The thing as it is, else as it was."""
        return self.after or self.before or {}


@dataclass(slots=True)
class Difference:
    """All that is not as it was; each effect takes what it can take back, and what is left explains itself to nobody.

    Attributes:
        before: The catalog when the transaction began.
        after: The catalog before its COMMIT.
        left: What nobody has taken, by identity.
    """

    before: Snapshot
    after: Snapshot
    left: dict[Key, Change] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left = {change.key: change for change in _changes(self.before, self.after)}

    def added(self, kind: str) -> Iterator[Change]:
        """Yield what was made of a kind and is not taken."""
        yield from [c for c in self.left.values() if c.key.kind == kind and c.before is None]

    def gone(self, kind: str) -> Iterator[Change]:
        """Yield what is gone of a kind and is not taken."""
        yield from [c for c in self.left.values() if c.key.kind == kind and c.after is None]

    def changed(self, kind: str, *values: str) -> Iterator[Change]:
        """Yield what of a kind has another value than before, in one of those at least, and is not taken."""
        wanted = set(values)
        yield from [c for c in self.left.values() if c.key.kind == kind and c.values & wanted]

    def take(self, key: Key, *values: str) -> None:
        """Take a change, or those values of it; what is not there is taken already. Idempotent."""
        change = self.left.get(key)
        if change is None:
            return
        rest = change.values - set(values) if values else frozenset()
        if rest:
            self.left[key] = Change(key, change.before, change.after, frozenset(rest))
        elif not values or (change.before is not None and change.after is not None):
            del self.left[key]

    def made(self, key: Key) -> bool:
        """Tell whether a thing is there that was not there before."""
        return key in self.after.things and key not in self.before.things


def differences_of(before: Snapshot, after: Snapshot, tables: set[int]) -> list[list[Any]]:
    """Return kind, oid, sub and values of all that is another about tables, and about the foreign keys that lead to them."""
    return [
        [*change.key, sorted(change.values)]
        for change in Difference(before, after).left.values()
        if change.thing.get("table", change.key.oid) in tables or change.thing.get("to_table") in tables
    ]


def follows(difference: Difference, column: Key, value: str) -> bool:
    """Tell whether an inherited column has changed as one that it comes from has, and will again.

    Args:
        difference: What was done.
        column: The column.
        value: What of it is another.
    """
    before, after = difference.before, difference.after
    was, is_ = before.things[column], after.things[column]
    if not is_["inherited"]:
        return False
    for parent in after.things[Key("table", column.oid)]["parents"] or ():
        for attnum, one in after.columns(parent).items():
            earlier = before.things.get(Key("column", parent, attnum))
            if earlier is not None and (earlier["name"], one["name"]) == (was["name"], is_["name"]):
                return bool(earlier[value] == was[value] and one[value] == is_[value])
    return False


def unlike(before: Snapshot, after: Snapshot) -> Iterator[tuple[Key, Thing | None, Thing | None]]:
    """Yield what is not the same in two readings, as it was and as it is."""
    known = after.may_be_unlike(before)
    keys = before.things.keys() | after.things.keys() if known is None else known
    found = [
        (key, was, is_)
        for key in keys
        if (was := before.things.get(key)) is not (is_ := after.things.get(key)) and was != is_
    ]
    yield from sorted(found, key=lambda one: (one[1] is None, KINDS.index(one[0].kind), one[0]))


def _changes(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    for key, was, is_ in unlike(before, after):
        if _engines_own(was, is_) or _of_own(before, after, is_):
            continue
        if was is None or is_ is None:
            yield Change(key, was, is_)
            continue
        values = {name for name in was.keys() | is_.keys() if was.get(name) != is_.get(name)} - _TEXTS
        if values:
            yield Change(key, was, is_, frozenset(values))


def _engines_own(was: Thing | None, is_: Thing | None) -> bool:
    """Tell whether something came or went that only the engine has: it was never seen under another name."""
    return (was is None and is_hidden(str((is_ or {})["name"]))) or (
        is_ is None and is_hidden(str((was or {})["name"]))
    )


def _of_own(before: Snapshot, after: Snapshot, thing: Thing | None) -> bool:
    """Tell whether something is a part of a table or type that only the engine has, and was never seen under another name."""
    told = thing or {}
    key = Key("table", told["table"]) if told.get("table") else Key("type", _type_of(told))
    was, is_ = before.things.get(key), after.things.get(key)
    return is_ is not None and is_hidden(str(is_["name"])) and (was is None or is_hidden(str(was["name"])))


def _type_of(thing: Thing) -> int:
    """Return the oid of the type that a label or a CHECK is of; 0: it is neither."""
    is_label = thing.keys() == {"name", "type", "order"}
    return int(thing["type"] if is_label else thing.get("of_domain") or 0)


def retyped_in_place(difference: Difference) -> bool:
    """Tell whether a column got another type in its place: on the way back PostgreSQL refuses that below what is built on it."""
    return any(
        key.kind == "column"
        and was
        and is_
        and (was["type"], was["modifier"]) != (is_["type"], is_["modifier"])
        for key, was, is_ in unlike(difference.before, difference.after)
    )
