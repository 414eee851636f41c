"""What becomes of rows that violate what comes back, as the user has told it: another value, or they are set aside. Pure.

`repair TABLE.COLUMN = EXPR` gives them a value that the CHECK allows; `quarantine TABLE` sets those aside that have none.
Of a key it is about rows that have the same value as an earlier one: see `twice.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from backout.databases.postgres.reversible import constraints, expressions
from backout.databases.postgres.reversible.answers import unusable
from backout.databases.postgres.reversible.expressions import NotOverColumns
from backout.databases.postgres.reversible.journal import Entry, Operation
from backout.databases.postgres.reversible.names import ident, is_hidden
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.databases.postgres.reversible.relatives import below
from backout.databases.postgres.reversible.snapshot import Key, Snapshot

# Source: PostgreSQL 15 and 18, src/backend/utils/adt/ruleutils.c, `pg_get_constraintdef_worker`.
_CHECK = re.compile(r"CHECK \((?P<expression>.*)\)(?: NO INHERIT)?(?: NOT VALID)?", re.DOTALL)


_KEY = "key.dropped"
"""See `built.KEY_DROPPED`."""
ONCE = "remedy_once"
"""What was told when a way back was taken wins over what was told with the migration, and is for that way alone."""


@dataclass(frozen=True, slots=True)
class Set:
    """A column that gets another value.

    Attributes:
        attnum: Its number.
        name: Its name, as it is now.
        value: SQL.
    """

    attnum: int
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """What becomes of the rows of a table that violate a CHECK, in SQL with the names of now.

    Attributes:
        table: Oid.
        called: The CHECK.
        bad: Condition of the rows that violate it.
        cured: Condition of those of them that do not with their other values; nothing is known of it where it is `true`.
        sets: These values.
        aside: The others are set aside.
    """

    table: int
    called: str
    bad: str
    cured: str
    sets: list[Set]
    aside: bool

    @property
    def left(self) -> str:
        """Condition of the rows that no other value helps."""
        return f"{self.bad} AND NOT ({self.cured})"


def brings_check(entry: Entry) -> bool:
    """Tell whether a way back of a change brings a CHECK back that held for every row."""
    return entry.state == "applied" and _is_check(entry.kind, entry.operation)


def brings_key(entry: Entry) -> bool:
    """Tell whether a way back of a change brings a key back that is built before it."""
    return entry.state == "applied" and _is_key(entry.kind, entry.operation)


def table_of(operation: Operation) -> int:
    """Return the oid of the table whose CHECK or key comes back."""
    return int(operation.get("dropped", operation)["table"])


def condition(now: Snapshot, dropped: constraints.Kept) -> str | None:
    """Return the condition of rows that violate a dropped CHECK; None: it speaks of columns that come back with it."""
    columns = now.columns(dropped["table"])
    found = _CHECK.fullmatch(constraints.check_text(now, dropped))
    there = all(n in columns and not is_hidden(columns[n]["name"]) for n in dropped["columns"] or ())
    return f"({found['expression']}) IS FALSE" if found is not None and there else None


def remedy(now: Snapshot, operation: Operation) -> Remedy | None:
    """Return what becomes of the rows that violate the CHECK of a change; None: nothing was told, or it cannot be said yet."""
    told, dropped = operation.get(ONCE) or operation.get("remedy"), operation.get("dropped", {})
    if told is None or Key("table", dropped["table"]) not in now.things:
        return None
    bad = condition(now, dropped)
    if bad is None:
        return None
    columns, sets = now.columns(dropped["table"]), sets_of(now, operation)
    trees = {one.name: (expressions.parsed(one.value), str(columns[one.attnum]["type_text"])) for one in sets}
    return Remedy(dropped["table"], operation["called"], bad, _cured(bad, trees), sets, told["aside"])


def sets_of(now: Snapshot, operation: Operation) -> list[Set]:
    """Return the values that rows get, with the names of now; without those that cannot be said any more."""
    columns = now.columns(table_of(operation))
    names = {n: str(column["name"]) for n, column in columns.items()}
    told = operation.get(ONCE) or operation["remedy"]
    values = [(one["attnum"], _now(one, names)) for one in told["repairs"]]
    return [Set(attnum, names[attnum], value) for attnum, value in values if value is not None]


def told_of(
    now: Snapshot, kind: str, operation: Operation, given: Mapping[str, str], *, once: bool = False
) -> set[str]:
    """Put into an operation what was told of the rows that violate what it brings back.

    Args:
        now: The catalog that the answers speak of.
        kind: Of the operation.
        operation: Gets `remedy`, where anything is told of it.
        given: The answers, by word and place.
        once: They are for one way back only.

    Returns:
        Those of the answers that it is about.

    Raises:
        Veto: One of them cannot be used.
    """
    if not _is_check(kind, operation) and not _is_key(kind, operation):
        return set()
    table = Key("table", table_of(operation))
    if table not in now.things:
        return set()
    called, columns = now.name(table), now.columns(table.oid)
    names = {str(n): str(one["name"]) for n, one in columns.items() if not is_hidden(str(one["name"]))}
    used, repairs = set(), []
    numbers = {name: int(attnum) for attnum, name in names.items()}
    for key in [one for one in given if one.startswith("repair ")]:
        table_told, _, column = key.removeprefix("repair ").rpartition(".")
        if table_told not in (called, called.split(".", 1)[-1]):
            continue
        if column not in numbers:
            raise unusable(
                f"{called}.{column}", given[key], "there is no such column when the transaction ends"
            )
        if numbers[column] in _columns_of(kind, operation, numbers.values()):
            value = _usable(f"{called}.{column}", given[key], numbers)
            repairs.append({"attnum": numbers[column], "value": value, "names": names})
            used.add(key)
    places = (f"quarantine {called}", f"quarantine {called.split('.', 1)[-1]}")
    aside = next((key for key in places if key in given), None)
    used |= {aside} if aside is not None else set()
    if used:
        family = now.things[table]["kind"] != "r" or below(now, table.oid) or now.things[table]["parents"]
        if family:
            raise _not_in_families(called)
        if _is_key(kind, operation) and repairs and aside is not None:
            raise _either(called)
        operation[ONCE if once else "remedy"] = {"repairs": repairs, "aside": aside is not None}
    return used


def _columns_of(kind: str, operation: Operation, every: Collection[int]) -> Collection[int]:
    """Return the columns by which a CHECK or key can be met; of an index over expressions any may be."""
    if _is_check(kind, operation):
        return list(operation["dropped"]["columns"] or ())
    return [int(one) for one in operation["made"]["key"]] or every


def told_once(operation: Operation) -> Operation:
    """Return an operation without what was told for one way back only."""
    return {key: value for key, value in operation.items() if key != ONCE}


def is_told(operation: Operation) -> bool:
    """Tell whether anything was told of rows that violate what comes back."""
    return not operation.keys().isdisjoint((ONCE, "remedy"))


def _is_check(kind: str, operation: Operation) -> bool:
    if kind != "constraint.dropped":
        return False
    return bool(operation["dropped"]["kind"] == "c" and operation["dropped"]["valid"])


def _is_key(kind: str, operation: Operation) -> bool:
    return kind == _KEY and "key" not in operation


def _usable(called: str, told: str, names: Collection[str]) -> str:
    """Return the text of one value over the columns of the row, and nothing else.

    Raises:
        Veto: It is none.
    """
    try:
        # Hazard: it stands in an UPDATE, of which a comment or a second value would make another one.
        tree = expressions.parsed(told)
        if expressions.asks(tree):
            raise NotOverColumns("there is a query in it")
        for one in expressions.named(tree):
            if one not in names:
                raise NotOverColumns(f'there is no column "{one}"')
        return expressions.text_of(tree)
    except NotOverColumns as error:
        raise unusable(called, told, str(error)) from None


def _now(told: dict[str, Any], names: Mapping[int, str]) -> str | None:
    """Return the value with the names of now; None: a column that it speaks of, or is of, is gone."""
    numbers = {name: int(attnum) for attnum, name in told["names"].items()}
    tree = expressions.parsed(told["value"])
    needed = {told["attnum"], *(numbers[one] for one in expressions.named(tree))}
    if not needed <= names.keys():
        return None
    return expressions.over(tree, lambda name: names[numbers[name]])


def _cured(bad: str, trees: dict[str, tuple[Any, str]]) -> str:
    """Return the condition of rows that meet the CHECK with their other values."""
    if not trees:
        return "false"
    try:
        return f"({expressions.text_of(expressions.within(expressions.parsed(bad), trees))}) IS NOT TRUE"
    except NotOverColumns:
        return "true"


def _not_in_families(called: str) -> Veto:
    return Veto(
        f"backout cannot repair or set aside rows of {called}",
        detail="It is partitioned, a partition, or one of several that inherit from each other: which table a row is in would be lost.",
        hint="Leave that answer out, and change such rows by hand before the way back.",
    )


def _either(called: str) -> Veto:
    return Veto(
        f"backout cannot both repair and set aside rows of {called} that have a key twice",
        detail="Whether a value is free only trying tells, and then it is too late to choose.",
        hint="Leave one of the two answers out.",
    )


def set_texts(one: Remedy) -> str:
    """Return what is set, as an UPDATE has it."""
    return ", ".join(f"{ident(a.name)} = {a.value}" for a in one.sets)
