"""What makes a table that is kept what it was, but for its columns. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backout.databases.postgres.inverse.matching import Match
from backout.databases.postgres.inverse.model import CONSTRAINT, RELATION, Catalog, Thing
from backout.databases.postgres.inverse.words import altered
from backout.databases.postgres.reversible.names import ident

_IDENTITIES = {"n": "NOTHING", "f": "FULL", "d": "DEFAULT"}


def families(before: Catalog, now: Catalog, pairs: Match) -> tuple[list[str], list[tuple[float, str]]]:
    """Return what takes tables out of others, and what puts them into those that they were in, with its place."""
    out, into = [], []
    for was, is_ in pairs.things.items():
        thing, there = before.things[was], now.things[is_]
        if thing.kind not in ("table", "foreign table"):
            continue
        wanted = [pairs.things.get((RELATION, one, 0)) for one in thing.facts["parents"] or ()]
        has = [(RELATION, one, 0) for one in there.facts["parents"] or ()]
        moved = thing.facts["bound"] != there.facts["bound"]
        for parent in has:
            table = now.things.get(parent)
            if table is not None and (parent not in wanted or moved):
                out.append(_out(table, there))
        for one, paired in zip(thing.facts["parents"] or (), wanted, strict=True):
            table = before.table(one)
            if table is not None and (paired is None or paired not in has or moved):
                into.append((max(thing.order, table.order) + 0.9, _into(table, thing)))
    return out, into


def _out(table: Thing, child: Thing) -> str:
    if child.facts["is_partition"]:
        return f"ALTER TABLE {table.identity} DETACH PARTITION {child.identity}"
    return f"ALTER TABLE {child.identity} NO INHERIT {table.identity}"


def _into(table: Thing, child: Thing) -> str:
    if child.facts["is_partition"]:
        return f"ALTER TABLE {table.identity} ATTACH PARTITION {child.identity} {child.facts['bound']}"
    return f"ALTER TABLE {child.identity} INHERIT {table.identity}"


def settings(thing: Thing, there: Thing) -> Iterator[str]:
    """Yield what gives a table, view or index the settings that it had."""
    was, is_ = thing.facts, there.facts
    begin = altered(thing)
    if thing.kind == "materialized view" or thing.kind in ("table", "view", "foreign table"):
        yield from _options(begin, was, is_)
    if thing.kind not in ("table", "materialized view"):
        return
    if was["method"] != is_["method"] and was["method"]:
        yield f"{begin} SET ACCESS METHOD {ident(was['method'])}"
    if was["tablespace"] != is_["tablespace"]:
        yield f"{begin} SET TABLESPACE {ident(was['tablespace'] or 'pg_default')}"
    if thing.kind == "materialized view":
        return
    if was["row_security"] != is_["row_security"]:
        yield f"{begin} {'ENABLE' if was['row_security'] else 'DISABLE'} ROW LEVEL SECURITY"
    if was["force_row_security"] != is_["force_row_security"]:
        yield f"{begin} {'' if was['force_row_security'] else 'NO '}FORCE ROW LEVEL SECURITY"
    if was["replica_identity"] != is_["replica_identity"] and was["replica_identity"] in _IDENTITIES:
        yield f"{begin} REPLICA IDENTITY {_IDENTITIES[was['replica_identity']]}"
    if was["of_type"] != is_["of_type"]:
        yield f"{begin} {'OF ' + was['of_type'] if was['of_type'] else 'NOT OF'}"


def persistence(before: Catalog, now: Catalog, pairs: Match) -> Iterator[str]:
    """Yield what makes tables unlogged, and logged, again: nothing that is logged may refer to what is not."""
    others = [
        one
        for at, one in before.things.items()
        if one.kind == "table"
        and (there := pairs.things.get(at)) is not None
        and one.facts["unlogged"] != now.things[there].facts["unlogged"]
    ]
    refers = {
        (one.table, one.facts["to_table"])
        for one in before.things.values()
        if one.at[0] == CONSTRAINT and one.facts["letter"] == "f" and one.table != one.facts["to_table"]
    }
    while others:
        left = {one.at[1] for one in others}
        first = next(
            (one for one in others if not any(_waits(one, table, refers) for table in left)), others[0]
        )
        others.remove(first)
        yield f"{altered(first)} SET {'UNLOGGED' if first.facts['unlogged'] else 'LOGGED'}"


def _waits(table: Thing, other: int, refers: set[tuple[int, int]]) -> bool:
    own = table.at[1]
    return (other, own) in refers if table.facts["unlogged"] else (own, other) in refers


def _options(begin: str, was: dict[str, Any], is_: dict[str, Any]) -> Iterator[str]:
    for name, prefix in (("options", ""), ("toast_options", "toast.")):
        wanted, has = (dict(one.split("=", 1) for one in told.get(name) or ()) for told in (was, is_))
        gone = [prefix + one for one in has if one not in wanted]
        other = [f"{prefix}{one} = {_value(value)}" for one, value in wanted.items() if has.get(one) != value]
        if gone:
            yield f"{begin} RESET ({', '.join(gone)})"
        if other:
            yield f"{begin} SET ({', '.join(other)})"


def _value(value: str) -> str:
    return (
        value
        if value.replace(".", "", 1).replace("_", "").isalnum()
        else "'" + value.replace("'", "''") + "'"
    )


def marks(before: Catalog, now: Catalog, pairs: Match) -> Iterator[str]:
    """Yield what tells again by which index a table is sorted, and its rows are known."""
    for was, is_ in pairs.things.items():
        thing, there = before.things[was], now.things[is_]
        table = before.table(thing.table)
        if table is None or "clustered" not in thing.facts:
            continue
        name = ident(thing.facts.get("index") or thing.name)
        if thing.facts["clustered"] and not there.facts["clustered"]:
            yield f"{altered(table)} CLUSTER ON {name}"
        if (
            there.facts["clustered"]
            and not thing.facts["clustered"]
            and not _other(before, table, "clustered")
        ):
            yield f"{altered(table)} SET WITHOUT CLUSTER"
        if thing.facts["replica_identity"] and not there.facts["replica_identity"]:
            yield f"{altered(table)} REPLICA IDENTITY USING INDEX {name}"
        if thing.kind == "index" and thing.facts["parent"] and not there.facts["parent"]:
            parent = before.things.get((RELATION, thing.facts["parent"], 0))
            if parent is not None:
                yield f"{altered(parent)} ATTACH PARTITION {thing.identity}"


def _other(before: Catalog, table: Thing, mark: str) -> bool:
    return any(one.table == table.at[1] and one.facts.get(mark) for one in before.things.values())
