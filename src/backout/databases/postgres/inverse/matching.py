"""Which thing of a schema as it is is which one of the schema as it was. Pure.

A database that was copied as a template has the oids of the one that it is a copy of: what was renamed is found again
by them. What was dropped and made anew, and everything of databases of another origin, is found by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from backout.databases.postgres.inverse.model import HOLDS_ROWS, Address, Catalog, Column, Thing


@dataclass(frozen=True)
class Match:
    """Pairs of addresses, of before and of now."""

    things: dict[Address, Address]
    columns: dict[Address, Address]

    @cached_property
    def before_of(self) -> dict[Address, Address]:
        """The pairs the other way round."""
        return {now: was for was, now in {**self.things, **self.columns}.items()}


def match(before: Catalog, now: Catalog, *, same_origin: bool) -> Match:
    """Pair what is the same thing.

    Args:
        before: The schema as it was.
        now: The schema as it is.
        same_origin: Whether the one database was made as a copy of the other one, oids and all.
    """
    things: dict[Address, Address] = {
        at: at
        for at, thing in before.things.items()
        if same_origin and (found := now.things.get(at)) is not None and _alike(thing, found)
    }
    taken = set(things.values())
    by_name = {_name(thing): thing for at, thing in now.things.items() if at not in taken}
    for at, thing in before.things.items():
        if at not in things and (found := by_name.get(_name(thing))) is not None and _alike(thing, found):
            things[at] = found.at
    return Match(things, _columns(before, now, things, same_origin=same_origin))


def _name(thing: Thing) -> tuple[int, str, str]:
    return thing.at[0], thing.kind, thing.identity


def _alike(one: Thing, other: Thing) -> bool:
    """Tell whether the one can become the other one: a table cannot become partitioned, or be so otherwise."""
    if one.kind != other.kind:
        return False
    if one.kind not in HOLDS_ROWS:
        return True
    return bool(one.facts.get("partitioned_by") == other.facts.get("partitioned_by"))


def _columns(
    before: Catalog, now: Catalog, things: dict[Address, Address], *, same_origin: bool
) -> dict[Address, Address]:
    found: dict[Address, Address] = {}
    for was, is_ in things.items():
        own, there = before.columns_of.get(was[1], []), now.columns_of.get(is_[1], [])
        if was[0] != is_[0] or not own or was[0] != own[0].at[0]:
            continue
        if same_origin and was == is_:
            numbers = {one.at for one in there}
            found |= {one.at: one.at for one in own if one.at in numbers}
        taken = set(found.values())
        names: dict[str, Column] = {one.name: one for one in there if one.at not in taken}
        found |= {one.at: names[one.name].at for one in own if one.at not in found and one.name in names}
    return found
