"""Tables as a migration will demand them: rows that are to survive it have to meet the later rules, too. Pure."""

from __future__ import annotations

from dataclasses import replace

from backout.databases.postgres.generated.look import Column, Foreign, Look, Table


def foreseen(before: Look, later: Look) -> Look:
    """Return the tables of before with what later ones demand of the same columns.

    A column that will need a value needs one; one that will refer to another table refers to it; one whose values will be
    restricted gets the values that the later type or rule names.

    Args:
        before: The tables as they are.
        later: Those of the same database after the migration, by the same numbers.
    """
    tables = {oid: _merged(table, before, later) for oid, table in before.tables.items()}
    return replace(before, tables=tables, types=later.types | before.types)


def _merged(table: Table, before: Look, later: Look) -> Table:
    then = later.tables.get(table.oid)
    if then is None:
        return table
    now = {c.number: c for c in table.columns}
    names = {c.name: now[c.number].name for c in then.columns if c.number in now}
    after = {c.number: c for c in then.columns}
    columns = tuple(_column(c, after.get(c.number)) for c in table.columns)
    known = {(one.columns, one.target) for one in table.foreign}
    foreign = [
        Foreign(one.name, tuple(names[c] for c in one.columns), one.target, tuple(targets))
        for one in then.foreign
        if set(one.columns) <= names.keys()
        and (targets := _there(one, before, later)) is not None
        and (tuple(names[c] for c in one.columns), one.target) not in known
    ]
    preferred = {
        names[c.name]: (*later.types[c.type].labels, *then.literals.get(c.name, ()))
        for c in then.columns
        if c.name in names
    }
    return replace(
        table,
        columns=columns,
        foreign=(*table.foreign, *foreign),
        preferred={name: found for name, found in preferred.items() if found},
    )


def _column(column: Column, then: Column | None) -> Column:
    needed = then is not None and then.not_null and not column.generated
    return replace(
        column,
        not_null=column.not_null or needed,
        default=None if needed and _is_null(column) else column.default,
    )


def _is_null(column: Column) -> bool:
    return (column.default or "").upper().startswith("NULL")


def _there(one: Foreign, before: Look, later: Look) -> list[str] | None:
    """Return what the columns that a later foreign key refers to are called now; None: they are not there yet."""
    target, then = before.tables.get(one.target), later.tables.get(one.target)
    if target is None or then is None:
        return None
    numbers = {c.name: c.number for c in then.columns}
    now = {c.number: c.name for c in target.columns}
    found = [now.get(numbers[name]) for name in one.targets]
    return [name for name in found if name is not None] if None not in found else None
