"""What makes the columns of a table that is kept what they were. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backout.databases.postgres.inverse.going import Going
from backout.databases.postgres.inverse.matching import Match
from backout.databases.postgres.inverse.model import (
    DEFAULT,
    RELATION,
    TABLES,
    TYPE,
    Address,
    Catalog,
    Column,
    Thing,
)
from backout.databases.postgres.inverse.words import altered
from backout.databases.postgres.reversible.names import ident, literal

Placed = tuple[float, str]
_STORAGES = {"p": "PLAIN", "e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}
_COMPRESSIONS = {"p": "pglz", "l": "lz4"}


def columns(
    before: Catalog, now: Catalog, pairs: Match, goes: Going, fills: dict[str, str]
) -> Iterator[Placed]:
    """Yield what makes and changes columns, with its place among all that is made.

    Args:
        before: The schema as it was.
        now: The schema as it is, names being what they were.
        pairs: Which is which.
        goes: What is dropped before.
        fills: What rows get in a column that comes back, by ``schema.table.column``: SQL expressions.
    """
    for was, is_ in pairs.things.items():
        table = before.things[was]
        if table.kind not in TABLES or is_ in goes.made:
            continue
        of_parent = _inherits_changes(before, now, pairs, goes, table)
        for column in before.columns_of.get(was[1], ()):
            there = now.columns.get(pairs.columns.get(column.at, (0, 0, 0)))
            if there is None or there.at in goes.dropped_columns:
                if column.facts["local"] or not column.facts["inherited"]:
                    yield from _added(before, table, column, fills)
            elif not (of_parent and there.facts["inherited"]):
                yield from _changed(before, now, table, column, there, goes, fills)


def _inherits_changes(before: Catalog, now: Catalog, pairs: Match, goes: Going, table: Thing) -> bool:
    """Tell whether a table that this one has columns from is changed first: it takes this one along."""
    for parent in table.facts["parents"] or ():
        above = before.table(parent)
        if above is None or above.at not in pairs.things:
            continue
        if _inherits_changes(before, now, pairs, goes, above):
            return True
        for column in before.columns_of.get(parent, ()):
            there = now.columns.get(pairs.columns.get(column.at, (0, 0, 0)))
            if there is None or there.at in goes.retyped | goes.dropped_columns | goes.defaults:
                return True
            if any(_changed(before, now, above, column, there, goes, {})):
                return True
    return False


def _place(before: Catalog, table: Thing, column: Column) -> float:
    """Return where a column can be given its default: behind all that the default needs."""
    own = (DEFAULT, column.at[1], column.at[2])
    needed = [
        before.things[to].order
        for one, to, _ in before.needs
        if one in (own, column.at) and to in before.things and to != table.at
    ]
    return max([table.order, *needed]) + 0.2


def _added(before: Catalog, table: Thing, column: Column, fills: dict[str, str]) -> Iterator[Placed]:
    facts, place = column.facts, _place(before, table, column)
    begin, name = altered(table), ident(column.name)
    words = [f"{begin} ADD COLUMN {name} {column.type}"]
    words += [f"COLLATE {facts['collation']}"] if facts["collation"] else []
    if facts["generated"]:
        words.append(f"GENERATED ALWAYS AS ({facts['default']}) {_kept(facts['generated'])}")
    elif facts["identity"]:
        words.append(f"GENERATED {_identity(facts)}")
    elif facts["default"] is not None and facts["not_null"]:
        words.append(f"DEFAULT {facts['default']}")
    has_value = facts["generated"] or facts["identity"] or facts["default"] is not None
    if facts["not_null"] and has_value and not facts["identity"]:
        words.append("NOT NULL")
    words += [f"OPTIONS ({_foreign(facts['foreign_options'])})"] if facts["foreign_options"] else []
    yield place, " ".join(words)
    if facts["default"] is not None and not facts["not_null"] and not facts["generated"]:
        # After the rows have none: what they had is not known, and is not made up.
        yield place + 0.005, f"{begin} ALTER COLUMN {name} SET DEFAULT {facts['default']}"
    fill = fill_of(before, table, column, fills)
    if fill is not None and not facts["generated"]:
        yield place + 0.01, f"UPDATE {table.identity} SET {name} = {fill} WHERE {name} IS NULL"
    if facts["not_null"] and not has_value:
        yield place + 0.02, f"{begin} ALTER COLUMN {name} SET NOT NULL"


def fill_of(before: Catalog, table: Thing, column: Column, fills: dict[str, str]) -> str | None:
    """Return what rows get in a column, by its name with or without the schema; None: nobody has told it."""
    short = f"{table.name}.{column.name}"
    return fills.get(f"{before.schemas.get(table.schema, '')}.{short}", fills.get(short))


def _kept(letter: str) -> str:
    return "STORED" if letter == "s" else "VIRTUAL"


def _foreign(options: list[str]) -> str:
    return ", ".join(f"{ident(n)} {literal(v)}" for n, _, v in (one.partition("=") for one in options))


def _identity(facts: dict[str, Any]) -> str:
    when = "ALWAYS" if facts["identity"] == "a" else "BY DEFAULT"
    return f"{when} AS IDENTITY (SEQUENCE NAME {facts['numbers']['name']} {parameters(facts['numbers'])})"


def parameters(numbers: dict[str, Any]) -> str:
    """Return the words of CREATE SEQUENCE and of an identity, but for the type."""
    return (
        f"START WITH {numbers['start']} INCREMENT BY {numbers['increment']} MINVALUE {numbers['minimum']}"
        f" MAXVALUE {numbers['maximum']} CACHE {numbers['cache']} {'' if numbers['cycle'] else 'NO '}CYCLE"
    )


def _changed(
    before: Catalog,
    now: Catalog,
    table: Thing,
    column: Column,
    there: Column,
    goes: Going,
    fills: dict[str, str],
) -> Iterator[Placed]:
    was, is_ = column.facts, there.facts
    alter = f"{altered(table)} ALTER COLUMN {ident(column.name)}"
    place = _place(before, table, column)
    retyped = there.at in goes.retyped
    dropped_default = is_["default"] is not None and (there.at in goes.defaults or retyped)
    if is_["generated"] and not was["generated"]:
        yield table.order + 0.1, f"{alter} DROP EXPRESSION"
        dropped_default = True
    if is_["identity"] and not was["identity"]:
        yield table.order + 0.1, f"{alter} DROP IDENTITY"
    if retyped:
        if dropped_default and not is_["generated"]:
            yield table.order + 0.11, f"{alter} DROP DEFAULT"
        yield place, _retyped(alter, column, there, now, goes)
    if not was["generated"] and (was["default"] != is_["default"] or dropped_default):
        if was["default"] is not None:
            yield place + 0.05, f"{alter} SET DEFAULT {was['default']}"
        elif not dropped_default:
            yield place + 0.05, f"{alter} DROP DEFAULT"
    yield from ((place + 0.06, one) for one in _numbered(alter, table, column, there))
    if was["not_null"] != is_["not_null"] and not (was["identity"] and not is_["identity"]):
        value = fill_of(before, table, column, fills) or was["default"]
        if was["not_null"] and value is not None and not was["generated"]:
            name = ident(column.name)
            yield place + 0.06, f"UPDATE {table.identity} SET {name} = {value} WHERE {name} IS NULL"
        yield place + 0.07, f"{alter} {'SET' if was['not_null'] else 'DROP'} NOT NULL"
    yield from ((place + 0.08, one) for one in _stored(alter, was, is_))


def _numbered(alter: str, table: Thing, column: Column, there: Column) -> Iterator[str]:
    was, is_ = column.facts, there.facts
    if was["identity"] and not is_["identity"]:
        if not is_["not_null"]:
            yield f"{alter} SET NOT NULL"
        yield f"{alter} ADD GENERATED {_identity(was)}"
        name, numbers = ident(column.name), was["numbers"]
        yield (
            f"SELECT pg_catalog.setval({literal(numbers['name'])}, coalesce((SELECT max({name}) + {numbers['increment']}"
            f" FROM {table.identity}), {numbers['start']}), false)"
        )
    elif was["identity"] and is_["identity"]:
        if was["identity"] != is_["identity"]:
            yield f"{alter} SET GENERATED {'ALWAYS' if was['identity'] == 'a' else 'BY DEFAULT'}"
        yield from _sets(alter, was["numbers"], is_["numbers"])


def _sets(alter: str, was: dict[str, Any], is_: dict[str, Any]) -> Iterator[str]:
    words = {
        "increment": "INCREMENT BY",
        "minimum": "MINVALUE",
        "maximum": "MAXVALUE",
        "start": "START WITH",
        "cache": "CACHE",
    }
    other = [f"SET {text} {was[name]}" for name, text in words.items() if was[name] != is_[name]]
    other += [f"SET {'' if was['cycle'] else 'NO '}CYCLE"] if was["cycle"] != is_["cycle"] else []
    if other:
        yield f"{alter} {' '.join(other)}"


def _retyped(alter: str, column: Column, there: Column, now: Catalog, goes: Going) -> str:
    collation = f" COLLATE {column.facts['collation']}" if column.facts["collation"] else ""
    return f"{alter} TYPE {column.type}{collation}{_using(column, there, now, goes)}"


def _using(column: Column, there: Column, now: Catalog, goes: Going) -> str:
    """Return how a value becomes one of the earlier type; where PostgreSQL would assign it, nothing: that cuts nothing off."""
    was, is_, name = column.facts, there.facts, ident(column.name)
    remade = any((TYPE, oid, 0) in goes.rebuilt for oid in _types_of(there.at, now))
    if remade:
        return f" USING {name}::text::{column.type}"
    how = now.casts.get((is_["type_oid"], was["type_oid"]))
    if (
        is_["type_oid"] == was["type_oid"]
        or how in ("a", "i")
        or (was["category"] == "S" and was["type_kind"] == "b")
    ):
        return ""
    if how == "e" or is_["category"] == "S":
        return f" USING {name}::{column.type}"
    return f" USING {name}::text::{column.type}"


def _types_of(at: Address, now: Catalog) -> Iterator[int]:
    for one, to, _ in now.needs:
        if one == at and to[0] == TYPE:
            yield to[1]


def _stored(alter: str, was: dict[str, Any], is_: dict[str, Any]) -> Iterator[str]:
    if was["storage"] != is_["storage"] and was["type"] == is_["type"]:
        yield f"{alter} SET STORAGE {_STORAGES[was['storage']]}"
    if was["compression"] != is_["compression"]:
        yield f"{alter} SET COMPRESSION {_COMPRESSIONS.get(was['compression'], 'default')}"
    if was["target"] != is_["target"]:
        yield f"{alter} SET STATISTICS {-1 if was['target'] is None else was['target']}"
    wanted, has = (dict(one.split("=", 1) for one in told["options"] or ()) for told in (was, is_))
    if gone := [one for one in has if one not in wanted]:
        yield f"{alter} RESET ({', '.join(gone)})"
    if other := [f"{one} = {value}" for one, value in wanted.items() if has.get(one) != value]:
        yield f"{alter} SET ({', '.join(other)})"


def dropped(now: Catalog, at: Address) -> str:
    """Return the statement that drops a column."""
    table = now.things[(RELATION, at[1], 0)]
    return f"{altered(table)} DROP COLUMN {ident(now.columns[at].name)}"
