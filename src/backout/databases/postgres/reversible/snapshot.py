"""What the catalog said at one moment: every thing by its class and oid (a column: and attnum), with what can change about it. Pure.

Names are values here, not keys: a rename is a change of one value, and what only refers to the renamed thing does not
change, since references are told by oid and attnum (the catalog's own expression trees, not their text).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Key(NamedTuple):
    """Identity of a thing in one database.

    Attributes:
        kind: `table` stands for all relations with rows and views.
        oid: Of the thing; of its table for a column.
        sub: The column's attnum, else 0.
    """

    kind: str
    oid: int
    sub: int = 0


Thing = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The catalog at one moment.

    Attributes:
        things: By identity.
    """

    things: dict[Key, Thing]
    _index: dict[tuple[str, int], dict[Key, Thing]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    _mark: object = field(default_factory=object, init=False, compare=False, repr=False)
    _since: list[tuple[object, Collection[Key]]] = field(
        default_factory=list, init=False, compare=False, repr=False
    )

    def but(self, gone: Collection[Key], found: Mapping[Key, Thing]) -> Snapshot:
        """Return the catalog without some things, and with others; what is the same in both is not gone through.

        Args:
            gone: What is not there any more, and what was read again.
            found: What was read.
        """
        later = Snapshot(dict(self.things))
        later._since.extend([*self._since[-_EARLIER:], (self._mark, {*gone, *found})])
        index = self._indexed()
        later._index.update(index)
        for key in gone:
            for group in _groups(key, later.things.pop(key)):
                if later._index[group] is index[group]:
                    later._index[group] = dict(index[group])
                del later._index[group][key]
        for key, thing in found.items():
            later.things[key] = thing
            for group in _groups(key, thing):
                if group not in index:
                    later._index.setdefault(group, {})[key] = thing
                elif later._index[group] is index[group]:
                    later._index[group] = index[group] | {key: thing}
                else:
                    later._index[group][key] = thing
        return later

    def may_be_unlike(self, earlier: Snapshot) -> Collection[Key] | None:
        """Return what may not be the same as in an earlier reading, from which this one was made; None: it was not."""
        if earlier._mark is self._mark:
            return ()
        made = next((n for n, (mark, _keys) in enumerate(self._since) if mark is earlier._mark), None)
        return None if made is None else {key for _mark, keys in self._since[made:] for key in keys}

    def name(self, key: Key) -> str:
        """Return what a person calls it: ``public.orders.total``; its identity when it is not there."""
        thing = self.things.get(key)
        if thing is None:
            return f"{key.kind} {key.oid}"
        parts = [str(thing["signature"] if key.kind == "cast" else thing["name"])]
        if "table" in thing and (table := self.things.get(Key("table", thing["table"]))) is not None:
            parts[:0] = [str(table["name"])]
            thing = table
        if "schema" in thing and (schema := self.things.get(Key("schema", thing["schema"]))) is not None:
            parts[:0] = [str(schema["name"])]
        return ".".join(parts)

    def columns(self, table: int) -> dict[int, Thing]:
        """Return a table's columns by attnum."""
        return {key.sub: thing for key, thing in self._of("column", table).items()}

    def has_children(self, table: int) -> bool:
        """Tell whether others inherit from a table, or are partitions of it."""
        return bool(self.children(table))

    def children(self, table: int) -> list[int]:
        """Return the oids of the tables that inherit from a table, or are partitions of it."""
        return [key.oid for key in self._of("child", table)]

    def of_table(self, kind: str, table: int) -> dict[Key, Thing]:
        """Return a table's constraints, indexes, triggers, … ."""
        return dict(self._of(kind, table))

    def of_kind(self, kind: str) -> dict[Key, Thing]:
        """Return all things of a kind that is not a table's own, all rules and policies; `view` stands for these."""
        return self._indexed().get((kind, 0), {})

    def keys_to(self, table: int) -> dict[Key, Thing]:
        """Return the foreign keys that lead to a table."""
        return self._of("key to", table)

    def _of(self, kind: str, table: int) -> dict[Key, Thing]:
        """Return what belongs to a table, in the order of all things: found once for all tables, as there may be many."""
        return self._indexed().get((kind, table), {})

    def _indexed(self) -> dict[tuple[str, int], dict[Key, Thing]]:
        if not self._index:
            for key, thing in self.things.items():
                for group in _groups(key, thing):
                    self._index.setdefault(group, {})[key] = thing
            self._index.setdefault(("", 0), {})
        return self._index


_EARLIER = 100
"""Of so many readings it is known what has changed since."""
_MANY = ("column", "constraint", "index", "trigger")


def _groups(key: Key, thing: Thing) -> list[tuple[str, int]]:
    """Return under what a thing is found."""
    kind = key.kind
    owner = key.oid if kind == "column" else thing.get("table")
    found = [] if owner is None else [(kind, owner)]
    if kind == "table":
        found += [("child", parent) for parent in {*(thing.get("parents") or ())}]
        if thing["kind"] in ("v", "m"):
            found.append(("view", 0))
    elif kind not in _MANY:
        found.append((kind, 0))
    elif kind == "constraint":
        if not thing["table"]:
            pass  # of a domain: under its owner, which is nobody
        elif thing["to_table"]:
            found.append(("key to", thing["to_table"]))
    return found
