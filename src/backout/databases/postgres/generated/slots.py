"""What a row is put together from: for each column, or columns of a foreign key together, what may stand there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.generated.look import Column, Foreign, Look, Table
from backout.databases.postgres.generated.values import near, turned, values
from backout.databases.postgres.reversible.names import ident

if TYPE_CHECKING:
    import psycopg

Given = dict[str, str | None]
"""Values by column; a column that is not in it is left out of the INSERT."""

OWN = "\x00own "
"""Begins what stands for the row's own value of another column, whose name follows: a row that refers to itself."""

_REFERENCED = 60
_TOGETHER = 200


@dataclass(slots=True)
class Slot:
    """Columns that get their values together, and what they may be, the most telling first."""

    columns: tuple[str, ...]
    choices: list[Given]


def slots(
    connection: psycopg.Connection[Any],
    look: Look,
    table: Table,
    n: int,
    form: str,
    *,
    sparse: bool,
    only: Iterable[str] | None = None,
) -> list[Slot]:
    """Return the slots of a table's n-th row.

    Args:
        connection: For the rows that foreign keys may refer to.
        look: The tables.
        table: Whose row it is.
        n: Its number.
        form: What a text looks like.
        sparse: Nulls and defaults come first.
        only: The columns that whoever writes knows of; None: all.
    """
    known = {c.name: c for c in table.columns if not c.generated and (only is None or c.name in set(only))}
    foreign = [one for one in table.foreign if set(one.columns) <= known.keys()]
    found = [
        _foreign(connection, look, table, group, known, n, sparse=sparse) for group in _overlapping(foreign)
    ]
    taken = {name for slot in found for name in slot.columns}
    for name, column in known.items():
        if name not in taken and column.identity != "a":
            first, named = (
                [one for one in of.get(name, ()) if _fits(connection, look, column, one)]
                for of in (table.preferred, table.literals)
            )
            choices = _choices(look, column, n, form, first, named, sparse=sparse)
            found.append(Slot((name,), list(choices)))
    return found


def _fits(connection: psycopg.Connection[Any], look: Look, column: Column, text: str) -> bool:
    """Tell whether a text that a rule names is one of the column's type: the rule may compare another column with it."""
    import psycopg

    asked = (column.type_text, text)
    if asked not in look.fits:
        try:
            with connection.transaction():
                connection.execute(f"SELECT %s::text::{column.type_text}".encode(), (text,))
            look.fits[asked] = True
        except psycopg.DataError:
            look.fits[asked] = False
        except psycopg.Error:
            look.fits[asked] = True
    return look.fits[asked]


def _choices(
    look: Look,
    column: Column,
    n: int,
    form: str,
    first: Sequence[str],
    named: Sequence[str],
    *,
    sparse: bool,
) -> Iterator[Given]:
    name = column.name
    made = [*turned(tuple(first), n), *values(look, column, n, form)]
    made += [one for text in turned(tuple(named), n) for one in near(text, n)]
    given: list[Given] = [{name: one} for one in dict.fromkeys(made)]
    # One that a sequence numbers is left to it: a number that it gives later would meet one of ours.
    spared: list[Given] = [{}] if column.default is not None or column.identity or not column.not_null else []
    null: list[Given] = [{name: None}] if not column.not_null and column.default is not None else []
    yield from (*spared, *given, *null) if sparse or column.numbered else (*given, *null, *spared)


def _overlapping(foreign: Sequence[Foreign]) -> Iterator[list[Foreign]]:
    """Yield foreign keys, those that share columns together."""
    groups: list[list[Foreign]] = []
    for one in foreign:
        meeting = [group for group in groups if any(set(one.columns) & set(other.columns) for other in group)]
        groups = [group for group in groups if group not in meeting]
        groups.append([*(member for group in meeting for member in group), one])
    yield from groups


def _foreign(
    connection: psycopg.Connection[Any],
    look: Look,
    table: Table,
    group: Sequence[Foreign],
    known: Mapping[str, Column],
    n: int,
    *,
    sparse: bool,
) -> Slot:
    """Return the slot of foreign keys that share columns: rows that they refer to which agree."""
    columns = tuple(dict.fromkeys(name for one in group for name in one.columns))
    options = [_options(connection, look, table, one, known, n, sparse=sparse) for one in group]
    choices: list[Given] = []
    for combined in islice(product(*options), _TOGETHER):
        merged: Given = {}
        if all(_agrees(merged, one) for one in combined) and merged not in choices:
            choices.append(merged)
    return Slot(columns, choices)


def _agrees(merged: Given, one: Given) -> bool:
    """Add values to others unless they contradict."""
    if any(merged.get(name, value) != value for name, value in one.items()):
        return False
    merged.update(one)
    return True


def _options(
    connection: psycopg.Connection[Any],
    look: Look,
    table: Table,
    one: Foreign,
    known: Mapping[str, Column],
    n: int,
    *,
    sparse: bool,
) -> list[Given]:
    target = look.tables.get(one.target)
    rows: list[tuple[str, ...]] = []
    if target is not None:
        shown = ", ".join(f"{ident(name)}::text" for name in one.targets)
        present = " AND ".join(f"{ident(name)} IS NOT NULL" for name in one.targets)
        query = f"SELECT {shown} FROM {target.path} WHERE {present} ORDER BY {shown} LIMIT {_REFERENCED}"
        rows = connection.execute(query.encode()).fetchall()
    found: list[Given] = [
        dict(zip(one.columns, rows[(n + i) % len(rows)], strict=True)) for i in range(len(rows))
    ]
    if one.target == table.oid:
        found.append({name: OWN + to for name, to in zip(one.columns, one.targets, strict=True)})
    optional = [name for name in one.columns if not known[name].not_null]
    null: list[Given] = [dict.fromkeys(optional)] if optional else []
    spared: list[Given] = [{}] if all(known[name].default is not None for name in one.columns) else []
    return [*null, *spared, *found] if sparse else [*found, *null, *spared]
