"""What makes types and sequences what they were, where they are changed in place. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from backout.databases.postgres.inverse.columns import parameters
from backout.databases.postgres.inverse.going import Going
from backout.databases.postgres.inverse.matching import Match
from backout.databases.postgres.inverse.model import RELATION, TYPE, Catalog, Thing
from backout.databases.postgres.inverse.words import altered
from backout.databases.postgres.reversible.names import ident

ASIDE = "_down"


def types(before: Catalog, now: Catalog, pairs: Match, goes: Going) -> Iterator[tuple[float, str]]:
    """Yield what changes types, with its place among what is made; one that is made anew is set aside before."""
    for was, is_ in pairs.things.items():
        thing, there = before.things[was], now.things[is_]
        if was[0] != TYPE or thing.text == there.text or is_ in goes.remade:
            continue
        if is_ in goes.rebuilt:
            yield thing.order, f"{altered(there)} RENAME TO {ident(there.name + ASIDE)}"
            yield thing.order + 0.1, thing.text.rstrip(";")
        elif thing.facts["letter"] == "d":
            yield from ((thing.order, one) for one in _domain(thing, there))
        else:
            yield from ((thing.order, one) for one in _attributes(thing, there))


def set_aside(now: Catalog, goes: Going) -> list[tuple[float, str]]:
    """Return what drops the types that were set aside, at the end."""
    found = []
    for at in goes.rebuilt:
        there = now.things[at]
        schema = now.schemas[there.schema]
        found.append((there.order, f"DROP TYPE {ident(schema, there.name + ASIDE)}"))
    return found


def _domain(thing: Thing, there: Thing) -> Iterator[str]:
    was, is_, begin = thing.facts, there.facts, f"ALTER DOMAIN {there.identity}"
    wanted, has = was["checks"] or {}, is_["checks"] or {}
    for name, definition in has.items():
        if wanted.get(name) != definition:
            yield f"{begin} DROP CONSTRAINT {ident(name)}"
    for name, definition in wanted.items():
        if has.get(name) != definition:
            yield f"{begin} ADD CONSTRAINT {ident(name)} {definition}"
    if was["default"] != is_["default"]:
        yield f"{begin} {'DROP DEFAULT' if was['default'] is None else 'SET DEFAULT ' + was['default']}"
    if was["not_null"] != is_["not_null"]:
        yield f"{begin} {'SET' if was['not_null'] else 'DROP'} NOT NULL"


def _attributes(thing: Thing, there: Thing) -> Iterator[str]:
    begin = altered(there)
    wanted = {one[1]: one[2:] for one in thing.facts["attributes"] or ()}
    has = {one[1]: one[2:] for one in there.facts["attributes"] or ()}
    for name in has.keys() - wanted.keys():
        yield f"{begin} DROP ATTRIBUTE {ident(name)} CASCADE"
    for name, (type_, collation) in wanted.items():
        collated = f" COLLATE {collation}" if collation else ""
        if name not in has:
            yield f"{begin} ADD ATTRIBUTE {ident(name)} {type_}{collated} CASCADE"
        elif has[name] != [type_, collation]:
            yield f"{begin} ALTER ATTRIBUTE {ident(name)} TYPE {type_}{collated} CASCADE"


def sequences(before: Catalog, now: Catalog, pairs: Match) -> Iterator[tuple[float, str]]:
    """Yield what changes sequences that are no identity's."""
    for was, is_ in pairs.things.items():
        thing, there = before.things[was], now.things[is_]
        if thing.kind != "sequence":
            continue
        one, other = thing.facts, there.facts
        owners = [told.get("owned_by") for told in (one, other)]
        if any(owned and owned[2] == "i" for owned in owners):
            continue
        begin = altered(thing)
        if one["type"] != other["type"]:
            yield thing.order, f"{begin} AS {one['type']}"
        if parameters(one) != parameters(other):
            yield thing.order + 0.1, f"{begin} {parameters(one)}"
        if one["unlogged"] != other["unlogged"]:
            yield thing.order + 0.2, f"{begin} SET {'UNLOGGED' if one['unlogged'] else 'LOGGED'}"
        yield from _owned(before, pairs, thing, there)


def _owned(before: Catalog, pairs: Match, thing: Thing, there: Thing) -> Iterator[tuple[float, str]]:
    wanted, has = thing.facts["owned_by"], there.facts["owned_by"]
    column = None if wanted is None else (RELATION, int(wanted[0]), int(wanted[1]))
    same = None if has is None else (RELATION, int(has[0]), int(has[1]))
    if column is None:
        if same is not None:
            yield thing.order + 0.3, f"{altered(thing)} OWNED BY NONE"
        return
    if pairs.columns.get(column) is not None and pairs.columns[column] != same:
        table = before.things[(RELATION, column[1], 0)]
        name = ident(before.columns[column].name)
        yield thing.order + 0.3, f"{altered(thing)} OWNED BY {table.identity}.{name}"
