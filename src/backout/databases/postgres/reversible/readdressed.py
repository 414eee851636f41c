"""What the journal tells of what has another number: a column that was dropped for good and is added again, a function made anew. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

_ONE = ("attnum", "old", "new", "mark", "where")
_MANY = ("columns", "key", "tightened")


class Renumbered(NamedTuple):
    """A column that is added again in the place of one that was dropped.

    Attributes:
        table: Oid.
        old: The number that it had.
        new: The one that it has.
    """

    table: int
    old: int
    new: int


class Reborn(NamedTuple):
    """A function that was made anew in the place of one that was dropped.

    Attributes:
        old: The oid that it had.
        new: The one that it has.
    """

    old: int
    new: int


def of_function(kind: str, told: dict[str, Any], one: Reborn) -> dict[str, Any]:
    """Return an operation of a kind that tells of the function by its new oid."""
    is_functions = kind.startswith("function.") or "function" in (told.get("on"), told.get("of"))
    return told | {"oid": one.new} if is_functions and told.get("oid") == one.old else told


def readdressed(told: Any, one: Renumbered, table: int = 0) -> Any:
    """Return an operation that tells of the column by its new number.

    Args:
        told: The operation, or a part of it.
        one: The column; no other one ever gets its earlier number, so that nothing is changed twice.
        table: Oid of the table that the part is about.
    """
    if isinstance(told, list):
        return [readdressed(part, one, table) for part in told]
    if not isinstance(told, dict):
        return told
    of = told.get("table", table)
    return {name: _value(name, value, told, one, of) for name, value in told.items()}


def _value(name: str, value: Any, told: dict[str, Any], one: Renumbered, table: int) -> Any:
    here = table == one.table
    if name == "names" and here and isinstance(value, dict):
        return {str(one.new) if key == str(one.old) else key: text for key, text in value.items()}
    if name == "to_columns" and told.get("to_table") == one.table and isinstance(value, list):
        return [_number(each, one) for each in value]
    if (name in _ONE and here) or (name == "sub" and told.get("oid") == one.table):
        return _number(value, one)
    if name in _MANY and here and isinstance(value, list):
        return [_number(each, one) for each in value]
    return readdressed(value, one, table)


def _number(value: Any, one: Renumbered) -> Any:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return one.new if is_number and value == one.old else value
