"""Expressions over the columns of one table, by the parser's tree: which columns they name, and the same over others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.parse import NotParsed, deparse, statements

_SELECT = ("target_list", "limit_option", "op")
"""What the parser tells of a SELECT that has nothing but what it selects."""


class NotOverColumns(Exception):
    """An expression speaks of a whole row, or is none; the message says what it is."""


def parsed(text: str) -> Any:
    """Return the tree of an expression.

    Raises:
        NotOverColumns: It is none.
    """
    try:
        found = statements(f"SELECT {text}")
    except NotParsed as error:
        raise NotOverColumns(str(error)) from None
    node = found[0].node
    more = [one.name for one, _ in node.ListFields() if one.name not in _SELECT]
    if len(found) != 1 or more or len(node.target_list) != 1 or node.target_list[0].res_target.name:
        raise NotOverColumns(f"{text} is not one expression")
    return node.target_list[0].res_target.val


def named(node: Any) -> list[str]:
    """Return the columns that an expression names, each once, in order.

    Raises:
        NotOverColumns: It speaks of the whole row.
    """
    return list(dict.fromkeys(_name(one) for one in _references(node)))


def unknown(name: str, columns: Iterable[str]) -> NotOverColumns:
    """Return what says that there is no such column, and how one is written whose name has capitals."""
    alike = next((one for one in columns if one.lower() == name), None)
    return NotOverColumns(
        f"there is no column {name}" + (f"; write {ident(alike)}, with its quotes" if alike else "")
    )


def over(node: Any, place: Callable[[str], str | int]) -> str:
    """Return the text of an expression with other columns.

    Args:
        node: Its tree.
        place: Given a column's name, tells what stands for it: another column's name, or the number of a parameter.
    """
    return text_of(placed(node, place))


def placed(node: Any, place: Callable[[str], str | int]) -> Any:
    """Return the tree of an expression with other columns; arguments as of `over`."""
    copy = type(node)()
    copy.CopyFrom(node)
    for one in list(_references(copy)):
        found = place(_name(one))
        if isinstance(found, int):
            one.param_ref.number = found
        else:
            reference = one.column_ref
            del reference.fields[:]
            reference.fields.add().string.sval = found
    return copy


def within(node: Any, trees: dict[str, tuple[Any, str]]) -> Any:
    """Return the tree of an expression in which columns are replaced by expressions, cast to the columns' types.

    Args:
        node: Its tree.
        trees: Tree and type, by the column's name.
    """
    copy = type(node)()
    copy.CopyFrom(node)
    for one in list(_references(copy)):
        if (found := trees.get(_name(one))) is not None:
            tree, type_name = found
            one.CopyFrom(parsed(f"CAST(({over(tree, str)}) AS {type_name})"))
    return copy


def asks(node: Any) -> bool:
    """Tell whether there is a query within an expression."""
    if node.DESCRIPTOR.name == "SubLink":
        return True
    for field, value in node.ListFields():
        if field.message_type is None:
            continue
        if any(asks(one) for one in (value if isinstance(value, list) or hasattr(value, "add") else [value])):
            return True
    return False


def text_of(node: Any) -> str:
    """Return the text of an expression, without comments."""
    select = statements("SELECT 1")[0].node
    select.target_list[0].res_target.val.CopyFrom(node)
    return deparse("select_stmt", select).removeprefix("SELECT ")


def type_text(column: Any) -> str:
    """Return the text of a column definition's type, as the user wrote it."""
    select = statements("SELECT NULL::int")[0].node
    select.target_list[0].res_target.val.type_cast.type_name.CopyFrom(column.type_name)
    return deparse("select_stmt", select).removeprefix("SELECT NULL::")


def _references(node: Any) -> Iterator[Any]:
    """Yield every node that is a column reference, outermost first."""
    if node.DESCRIPTOR.name == "Node" and node.WhichOneof("node") == "column_ref":
        yield node
        return
    for field, value in node.ListFields():
        if field.message_type is None:
            continue
        for one in value if isinstance(value, list) or hasattr(value, "add") else [value]:
            yield from _references(one)


def _name(node: Any) -> str:
    last = node.column_ref.fields[-1]
    if last.WhichOneof("node") != "string":
        raise NotOverColumns("it speaks of the whole row")
    return str(last.string.sval)
