"""What an inverse as plain SQL cannot bring back, what it destroys, and what may stop it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backout.databases.postgres.inverse.columns import fill_of
from backout.databases.postgres.inverse.going import Going, going
from backout.databases.postgres.inverse.matching import Match, match
from backout.databases.postgres.inverse.model import (
    CONSTRAINT,
    RELATION,
    TABLES,
    TYPE,
    Address,
    Catalog,
    Column,
    Thing,
)
from backout.databases.postgres.reversible.names import ident, literal
from backout.message import Message, msg


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What the migration made, and its inverse destroys with all that was written into it since.

    Attributes:
        called: Table, or table and column.
        counted_by: A query for how many rows, or values, that are.
    """

    called: str
    counted_by: str


@dataclass(frozen=True, slots=True)
class Stopper:
    """What makes the inverse stop, and change nothing, if there is any such row.

    Attributes:
        why: What it is.
        counted_by: A query for how many rows that are; None: only running it tells.
    """

    why: Message
    counted_by: str | None


@dataclass(frozen=True, slots=True)
class Losses:
    """What there is to be told.

    Attributes:
        cannot: What does not come back.
        destroys: What goes.
        stops: What would stop it.
    """

    cannot: tuple[Message, ...]
    destroys: tuple[Destroyed, ...]
    stops: tuple[Stopper, ...]


def losses(before: Catalog, after: Catalog, *, same_origin: bool, fills: dict[str, str]) -> Losses:
    """Return what the way from `after` to `before` costs.

    Args:
        before: The schema before the migration.
        after: The one after it, with the names that the migration gave.
        same_origin: Whether the one database was made as a copy of the other one.
        fills: What rows get in a column that comes back.
    """
    pairs = match(before, after, same_origin=same_origin)
    return Losses(
        cannot=tuple(_cannot(before, after, pairs, same_origin=same_origin)),
        destroys=tuple(_destroys(before, after, pairs)),
        stops=tuple(_stops(before, after, pairs, fills)),
    )


def _cannot(before: Catalog, after: Catalog, pairs: Match, *, same_origin: bool) -> Iterator[Message]:
    for at, thing in sorted(before.things.items(), key=lambda one: one[1].identity):
        there = pairs.things.get(at)
        if thing.kind == "table" and not thing.facts["partitioned_by"]:
            if there is None:
                yield msg("the rows of {table}: it was dropped, and comes back empty", table=thing.identity)
            elif same_origin and there != at and at not in after.things:
                yield msg(
                    "the rows that {table} had before it was dropped and made anew", table=thing.identity
                )
        if thing.kind == "sequence" and there is None and not thing.facts.get("owned_by"):
            yield msg("where {sequence} stood: it begins anew", sequence=thing.identity)
        if thing.kind in TABLES and there is not None:
            yield from _columns(before, after, pairs, thing)


def _columns(before: Catalog, after: Catalog, pairs: Match, table: Thing) -> Iterator[Message]:
    for column in before.columns_of.get(table.at[1], ()):
        if column.facts["generated"]:
            continue
        called = f"{table.identity}.{ident(column.name)}"
        there = pairs.columns.get(column.at)
        if there is None:
            yield _of_dropped(column, called)
        elif there[1] == column.at[1] and there != column.at:
            yield msg("the values that {column} had before it was dropped and made anew", column=called)
        if there is not None and after.columns[there].type != column.type:
            yield msg(
                "the exact values of {column} where {type} could not hold them: they are converted from what is there now",
                column=called,
                type=after.columns[there].type,
            )


def _of_dropped(column: Column, called: str) -> Message:
    default = column.facts["default"]
    if column.facts["identity"]:
        return msg("the values of {column}: it was dropped, and rows are numbered anew", column=called)
    if default is not None and column.facts["not_null"]:
        return msg(
            "the values of {column}: it was dropped, and every row gets {default}",
            column=called,
            default=default,
        )
    return msg("the values of {column}: it was dropped", column=called)


def _destroys(before: Catalog, after: Catalog, pairs: Match) -> Iterator[Destroyed]:
    del before
    for at, thing in sorted(after.things.items(), key=lambda one: one[1].identity):
        if thing.kind == "table" and at not in pairs.before_of and not thing.facts["is_partition"]:
            yield Destroyed(thing.identity, f"SELECT count(*) FROM {thing.identity}")
    for at, column in sorted(after.columns.items()):
        table = after.table(at[1])
        if table is None or table.kind not in TABLES or table.at not in pairs.before_of:
            continue
        inherited = column.facts["inherited"] and not column.facts["local"]
        if at not in pairs.before_of and not inherited and not column.facts["generated"]:
            name = ident(column.name)
            yield Destroyed(f"{table.identity}.{name}", f"SELECT count({name}) FROM {table.identity}")


def _stops(before: Catalog, after: Catalog, pairs: Match, fills: dict[str, str]) -> Iterator[Stopper]:
    goes = going(before, after, pairs)
    for at, column in sorted(before.columns.items()):
        table = before.table(at[1])
        there = after.columns.get(pairs.columns.get(at, (0, 0, 0)))
        if table is None or table.kind not in TABLES or table.at not in pairs.things:
            continue
        if table.facts["is_partition"]:
            continue
        called, facts = f"{table.identity}.{ident(column.name)}", column.facts
        now = after.things[pairs.things[table.at]]
        if there is None and facts["not_null"] and facts["default"] is None and not facts["identity"]:
            if fill_of(before, table, column, fills) is None:
                yield Stopper(
                    msg(
                        "{column} has to have a value, and no row has one: tell what rows get (--fill {short}=EXPR)",
                        column=called,
                        short=f"{table.name}.{column.name}",
                    ),
                    f"SELECT count(*) FROM {now.identity}",
                )
        elif (
            there is not None
            and facts["not_null"]
            and not there.facts["not_null"]
            and facts["default"] is None
            and fill_of(before, table, column, fills) is None
        ):
            yield Stopper(
                msg("rows without a value in {column}, which has to have one again", column=called),
                f"SELECT count(*) FROM {now.identity} WHERE {ident(there.name)} IS NULL",
            )
        if there is not None and there.at in goes.retyped and not _rebuilt(after, there.at, goes):
            yield Stopper(
                msg("values of {column} that {type} cannot hold", column=called, type=column.type), None
            )
    yield from _labels(before, after, pairs)
    for at, thing in sorted(before.things.items(), key=lambda one: one[1].identity):
        unique = thing.facts.get("unique")
        if (
            (at[0] == CONSTRAINT or unique)
            and at not in pairs.things
            and (RELATION, thing.table, 0) in pairs.things
        ):
            yield Stopper(
                msg("rows that {constraint} does not allow, which comes back", constraint=thing.identity),
                None,
            )


def _rebuilt(after: Catalog, at: Address, goes: Going) -> bool:
    """Tell whether a column gets another type only because its own is made anew: what that refuses is told of the type."""
    return any((one, to) == (at, kind) for kind in goes.rebuilt for one, to, _ in after.needs)


def _labels(before: Catalog, after: Catalog, pairs: Match) -> Iterator[Stopper]:
    for was, is_ in pairs.things.items():
        if was[0] != TYPE:
            continue
        kept = {one[0] for one in before.things[was].facts.get("labels") or ()}
        names = {one[1] for one in before.things[was].facts.get("labels") or ()}
        more = [
            one[1]
            for one in after.things[is_].facts.get("labels") or ()
            if one[0] not in kept and one[1] not in names
        ]
        for at, _ in after.needed_by.get(is_, ()) if more else ():
            column = after.columns.get(at)
            table = after.table(at[1])
            if table is None or table.kind not in TABLES or table.facts["is_partition"]:
                continue
            if at[0] == RELATION and column is not None:
                listed = ", ".join(literal(one) for one in more)
                yield Stopper(
                    msg(
                        "rows with {labels} in {column}",
                        labels=listed,
                        column=f"{table.identity}.{ident(column.name)}",
                    ),
                    f"SELECT count(*) FROM {table.identity} WHERE {ident(column.name)}::text IN ({listed})"
                    if column.facts["category"] == "E"
                    else None,
                )
