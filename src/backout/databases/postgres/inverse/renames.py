"""What has another name, or is in another schema, than it had. It goes first: PostgreSQL's own texts follow the names. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from backout.databases.postgres.inverse.matching import Match
from backout.databases.postgres.inverse.model import SCHEMA, TABLES, TYPE, Catalog, Thing
from backout.databases.postgres.inverse.words import altered
from backout.databases.postgres.reversible.names import ident, literal

_ASIDE = "_down"
_PARTS = ("table constraint", "trigger", "policy", "rule")
_STAYS = ("cast", "operator", "publication relation")


def renames(before: Catalog, now: Catalog, pairs: Match) -> list[str]:
    """Return what gives names back that nothing stands in the way of, schemas first, parts of tables last."""
    for found in (_schemas, _things, _parts):
        if statements := list(found(before, now, pairs)):
            return statements
    return []


def _schemas(before: Catalog, now: Catalog, pairs: Match) -> Iterator[str]:
    for at, thing in before.things.items():
        if at[0] != SCHEMA:
            continue
        there = now.things.get(pairs.things.get(at, at))
        if at not in pairs.things:
            yield from [thing.text.rstrip(";")] if thing.text else []
        elif there is not None and there.name != thing.name:
            if any(one.name == thing.name for one in now.things.values() if one.at[0] == SCHEMA):
                yield f"ALTER SCHEMA {ident(thing.name)} RENAME TO {ident(thing.name + _ASIDE)}"
            yield f"{altered(there)} RENAME TO {ident(thing.name)}"


def _things(before: Catalog, now: Catalog, pairs: Match) -> Iterator[str]:
    wanted = []
    for was, is_ in pairs.things.items():
        thing, there = before.things[was], now.things[is_]
        if thing.kind in (*_PARTS, *_STAYS, "schema", "extension"):
            continue
        schema = before.schemas.get(thing.schema, "")
        moves = (
            schema != now.schemas.get(there.schema, "")
            and thing.kind != "index"
            and not there.facts.get("owned_by")
        )
        if moves:
            wanted.append((there, schema, there.name, f"SET SCHEMA {ident(schema)}"))
        elif thing.name != there.name:
            at = now.schemas.get(there.schema, "")
            wanted.append((there, at, thing.name, f"RENAME TO {ident(thing.name)}"))
    in_the_way = {}
    for one, schema, name, _ in wanted:
        for other in now.things.values():
            if other.at != one.at and _place(other, now) == (one.at[0], schema, name, _arguments(one)):
                in_the_way[other.at] = other
    yield from (f"{altered(one)} RENAME TO {ident(one.name + _ASIDE)}" for one in in_the_way.values())
    yield from (f"{altered(one)} {how}" for one, _, _, how in wanted if one.at not in in_the_way)


def _place(thing: Thing, catalog: Catalog) -> tuple[int, str, str, str]:
    return thing.at[0], catalog.schemas.get(thing.schema, ""), thing.name, _arguments(thing)


def _arguments(thing: Thing) -> str:
    return (
        thing.identity[thing.identity.find("(") :]
        if thing.kind in ("function", "procedure", "aggregate")
        else ""
    )


def _parts(before: Catalog, now: Catalog, pairs: Match) -> Iterator[str]:
    yield from _columns(before, now, pairs)
    yield from _hanging(before, now, pairs)
    yield from _in_types(before, now, pairs)


def _columns(before: Catalog, now: Catalog, pairs: Match) -> Iterator[str]:
    wanted = []
    for was, is_ in pairs.columns.items():
        column, there = before.columns[was], now.columns[is_]
        table = now.table(is_[1])
        if table is None or table.kind not in TABLES or column.name == there.name:
            continue
        if there.facts["local"] or not there.facts["inherited"]:
            wanted.append((table, there, column.name))
    for table, there, name in wanted:
        others = [one for one in now.columns_of[there.at[1]] if one.name == name]
        yield from (_renamed_column(table, one.name, one.name + _ASIDE) for one in others)
    in_the_way = {(there.at[1], name) for _, there, name in wanted}
    for table, there, name in wanted:
        if (there.at[1], there.name) not in in_the_way:
            yield _renamed_column(table, there.name, name)


def _renamed_column(table: Thing, one: str, to: str) -> str:
    return f"{altered(table)} RENAME COLUMN {ident(one)} TO {ident(to)}"


def _hanging(before: Catalog, now: Catalog, pairs: Match) -> Iterator[str]:
    for was, is_ in pairs.things.items():
        thing, there = before.things[was], now.things[is_]
        table = now.table(there.table)
        if thing.kind not in _PARTS or thing.name == there.name or table is None:
            continue
        facts = there.facts
        if facts.get("parent") or (facts.get("inherited") and not facts.get("local")):
            continue
        taken = [
            o
            for o in now.things.values()
            if (o.at[0], o.table, o.name) == (there.at[0], there.table, thing.name)
        ]
        yield from (_renamed_part(one, table, one.name + _ASIDE) for one in taken)
        if not any(
            before.things[b].name == there.name
            for b, n in pairs.things.items()
            if n[0] == is_[0] and now.things[n].table == there.table and b != was
        ):
            yield _renamed_part(there, table, thing.name)


def _renamed_part(thing: Thing, table: Thing, name: str) -> str:
    if thing.kind == "table constraint":
        return f"{altered(table)} RENAME CONSTRAINT {ident(thing.name)} TO {ident(name)}"
    return f"{altered(thing)} RENAME TO {ident(name)}"


def _in_types(before: Catalog, now: Catalog, pairs: Match) -> Iterator[str]:
    for was, is_ in pairs.things.items():
        if was[0] != TYPE or was != is_:
            continue
        thing, there = before.things[was], now.things[is_]
        yield from _labels(thing, there)
        named = {one[0]: one[1] for one in there.facts.get("attributes") or ()}
        for number, name, *_ in thing.facts.get("attributes") or ():
            if number in named and named[number] != name and name not in named.values():
                yield f"{altered(there)} RENAME ATTRIBUTE {ident(named[number])} TO {ident(name)} CASCADE"
        checks = dict(there.facts.get("check_names") or ())
        for oid, name in thing.facts.get("check_names") or ():
            if oid in checks and checks[oid] != name and name not in checks.values():
                yield f"ALTER DOMAIN {there.identity} RENAME CONSTRAINT {ident(checks[oid])} TO {ident(name)}"


def _labels(thing: Thing, there: Thing) -> Iterator[str]:
    now_ = dict(there.facts.get("labels") or ())
    wanted = [
        (now_[oid], label) for oid, label in thing.facts.get("labels") or () if now_.get(oid, label) != label
    ]
    targets = {label for _, label in wanted}
    for one in targets & set(now_.values()):
        yield f"{altered(there)} RENAME VALUE {literal(one)} TO {literal(one + _ASIDE)}"
    for one, label in wanted:
        if one not in targets:
            yield f"{altered(there)} RENAME VALUE {literal(one)} TO {literal(label)}"
