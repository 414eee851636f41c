"""What has to go before a schema can be as it was: what was made or changed, and whatever needs any of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from backout.databases.postgres.inverse.matching import Match
from backout.databases.postgres.inverse.model import (
    DEFAULT,
    EXTENSION,
    FUNCTION,
    RELATION,
    SCHEMA,
    TABLES,
    TYPE,
    Address,
    Catalog,
    Column,
    Thing,
)

_LATE = (
    "schema",
    "extension",
    "type",
    "collation",
    "sequence",
    "operator",
    "operator class",
    "operator family",
    "text search configuration",
    "text search dictionary",
    "text search parser",
    "text search template",
    "server",
    "foreign-data wrapper",
)
"""What a column, default or index may need until it is another one."""
_OWN_WAYS = ("table", "foreign table", "sequence", "schema", "extension")
"""Changed in place, by what they hold."""


@dataclass(slots=True)
class Going:
    """What goes away of a schema as it is.

    Attributes:
        made: Things that were not there before.
        remade: Things that are dropped and made again as they were.
        replaced: Functions and views that are replaced in place.
        dropped_columns: Columns that were not there before, or can only be made anew.
        retyped: Columns that get another type.
        defaults: Columns whose default goes first, because of what it needs.
        rebuilt: Types that are made anew beside, as columns are of them.
    """

    made: set[Address] = field(default_factory=set)
    remade: set[Address] = field(default_factory=set)
    replaced: set[Address] = field(default_factory=set)
    dropped_columns: set[Address] = field(default_factory=set)
    retyped: set[Address] = field(default_factory=set)
    defaults: set[Address] = field(default_factory=set)
    rebuilt: set[Address] = field(default_factory=set)

    def goes(self, at: Address) -> bool:
        """Tell whether a thing is dropped, for good or to be made again."""
        return at in self.made or at in self.remade or at in self.dropped_columns


def going(before: Catalog, now: Catalog, pairs: Match) -> Going:
    """Return what goes."""
    found = Going(made=now.things.keys() - pairs.before_of.keys())
    for was, is_ in pairs.things.items():
        _changed(before, now, was, is_, found)
    _columns_that_go(before, now, pairs, found)
    _of_rebuilt(now, found)
    _close(now, found)
    return found


def _changed(before: Catalog, now: Catalog, was: Address, is_: Address, found: Going) -> None:
    thing, there = before.things[was], now.things[is_]
    if thing.text == there.text or thing.kind in _OWN_WAYS or thing.at[0] in (SCHEMA, EXTENSION):
        return
    columns = before.columns_of.get(was[1], []), now.columns_of.get(is_[1], [])
    if (thing.kind == "view" and _shows_more(*columns)) or (
        thing.at[0] == FUNCTION and _replaceable(thing, there)
    ):
        found.replaced.add(there.at)
    elif thing.at[0] == TYPE and (_is_held(there, now) or _domains(thing, there)):
        if not _alterable(thing, there):
            found.rebuilt.add(there.at)
    elif not _is_inherited(there):
        found.remade.add(there.at)


def _replaceable(thing: Thing, there: Thing) -> bool:
    """Tell whether CREATE OR REPLACE makes the one of the other. Source: PostgreSQL 15 documentation, CREATE FUNCTION, "Notes"."""
    one, other = thing.facts, there.facts
    if thing.kind == "aggregate":
        return False
    same = all(one.get(name) == other.get(name) for name in ("letter", "result", "modes"))
    names = [a == b or not b for a, b in zip(one.get("names") or (), other.get("names") or (), strict=False)]
    named = bool(one.get("names")) or not any(other.get("names") or ())
    return same and named and all(names) and int(one["defaults"]) >= int(other["defaults"])


def _shows_more(wanted: list[Column], has: list[Column]) -> bool:
    """Tell whether CREATE OR REPLACE makes a view again: it can only add columns behind the others."""
    told = [[(one.name, one.type, one.facts["collation"]) for one in columns] for columns in (wanted, has)]
    return told[0][: len(has)] == told[1]


def _domains(thing: Thing, there: Thing) -> bool:
    """Tell whether these are domains that differ in what they demand alone."""
    both = (thing.facts.get("letter"), there.facts.get("letter")) == ("d", "d")
    return both and bool(thing.facts["base"] == there.facts["base"])


def _alterable(thing: Thing, there: Thing) -> bool:
    return _domains(thing, there) or (thing.facts.get("letter"), there.facts.get("letter")) == ("c", "c")


def _is_held(there: Thing, now: Catalog) -> bool:
    return any(one[0] == RELATION and one[2] for one, _ in now.needed_by.get(there.at, ()))


def _is_inherited(thing: Thing) -> bool:
    facts = thing.facts
    return bool(facts.get("parent") or (facts.get("inherited") and not facts.get("local")))


def _columns_that_go(before: Catalog, now: Catalog, pairs: Match, found: Going) -> None:
    for at, column in now.columns.items():
        table = now.table(at[1])
        if table is None or table.at in found.made or table.kind not in TABLES:
            continue
        was = before.columns.get(pairs.before_of.get(at, (0, 0, 0)))
        if column.facts["inherited"] and not column.facts["local"]:
            if was is not None and _retypes(was.facts, column.facts):
                found.retyped.add(at)
        elif was is None or _only_anew(was.facts, column.facts):
            found.dropped_columns.add(at)
        elif _retypes(was.facts, column.facts):
            found.retyped.add(at)


def _only_anew(was: dict[str, object], is_: dict[str, object]) -> bool:
    """Tell whether a column can only be dropped and made anew: what is computed from others is stored by nobody else."""
    generated = was["generated"], is_["generated"]
    return generated != ("", "") and (
        generated[0] != "" and (generated[0] != generated[1] or was["default"] != is_["default"])
    )


def _retypes(was: dict[str, object], is_: dict[str, object]) -> bool:
    return (was["type"], was["collation"]) != (is_["type"], is_["collation"])


def _of_rebuilt(now: Catalog, found: Going) -> None:
    for at in found.rebuilt:
        for one, _ in now.needed_by.get(at, ()):
            table = now.table(one[1])
            if one[0] == RELATION and one[2] and table is not None and table.kind in TABLES:
                found.retyped.add(one)


def _close(now: Catalog, found: Going) -> None:
    waiting = [*found.made, *found.remade, *found.dropped_columns, *found.retyped, *found.rebuilt]
    seen = set(waiting)
    while waiting:
        at = waiting.pop()
        for one, how in _who_needs(now, at):
            if one in seen or (how == "i" and at in found.retyped):
                continue
            seen.add(one)
            if _joins(now, found, one, how):
                waiting.append(one)


def _who_needs(now: Catalog, at: Address) -> Iterable[tuple[Address, str]]:
    yield from now.needed_by.get(at, ())
    if at[0] == RELATION and at[2] == 0:
        for column in now.columns_of.get(at[1], ()):
            yield from now.needed_by.get(column.at, ())


def _joins(now: Catalog, found: Going, one: Address, how: str) -> bool:
    """Take one who needs what goes; tell whether others may need it in turn."""
    if one[0] == DEFAULT:
        column = (RELATION, one[1], one[2])
        there = now.columns.get(column)
        if there is None or found.goes((RELATION, one[1], 0)) or column in found.dropped_columns:
            return False
        if there.facts["generated"]:
            found.dropped_columns.add(column)
            return True
        found.defaults.add(column)
        return False
    thing = now.things.get(one)
    if thing is None or thing.kind in _OWN_WAYS or found.goes(one) or one in found.rebuilt:
        return False
    if thing.at[0] == TYPE and thing.facts.get("letter") != "d" and _is_held(thing, now):
        return False
    if _is_inherited(thing) or _goes_with_table(now, found, thing):
        return False
    found.replaced.discard(one)
    found.remade.add(one)
    return True


def _goes_with_table(now: Catalog, found: Going, thing: Thing) -> bool:
    return thing.facts.get("letter") != "f" and bool(thing.table) and (RELATION, thing.table, 0) in found.made


def named_drops(now: Catalog, found: Going) -> tuple[list[Thing], list[Thing]]:
    """Return the things that a statement has to drop, first and at the end; all others go with what they are of."""
    first: list[Thing] = []
    last: list[Thing] = []
    for at in found.made | found.remade:
        thing = now.things[at]
        if _goes_with_table(now, found, thing) or _goes_with_other(now, found, thing):
            continue
        (last if at in found.made and thing.kind in _LATE else first).append(thing)
    return first, last


def _goes_with_other(now: Catalog, found: Going, thing: Thing) -> bool:
    parent = thing.facts.get("parent")
    if parent and ((thing.at[0], parent, 0) in found.made | found.remade or thing.at not in now.things):
        return True
    if thing.at[0] == RELATION and thing.kind == "index" and parent:
        return any(one.facts.get("index") and one.at[1] == parent for one in now.things.values())
    if _is_inherited(thing) and thing.kind != "index":
        return True
    owned = thing.facts.get("owned_by")
    if not owned:
        return False
    column = (RELATION, int(owned[0]), int(owned[1]))
    return owned[2] == "i" or column in found.dropped_columns or (RELATION, column[1], 0) in found.made


def in_order(now: Catalog, chosen: Iterable[Address], places: dict[Address, float]) -> list[Address]:
    """Return addresses so that each comes after all that need it; else by descending place."""
    left = set(chosen)
    found: list[Address] = []
    seen: set[Address] = set()

    def visit(at: Address) -> None:
        if at in seen:
            return
        seen.add(at)
        for one, _ in sorted(_who_needs(now, at), reverse=True):
            needing = one if one in left else (RELATION, one[1], one[2]) if one[0] == DEFAULT else one
            if needing in left:
                visit(needing)
        found.append(at)

    for at in sorted(left, key=lambda one: (-places.get(one, -1.0), one)):
        visit(at)
    return found
