"""Statements that write rows: those of migrations, and those of the code that uses the database."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import psycopg

from .columns import Drawn
from .look import Column, Look, Table, quoted
from .pen import Pen

Numbers = dict[int, list[int]]
"""Of each table, by its oid: what its rows are told apart by."""


def numbers_in(connection: psycopg.Connection[Any], look: Look) -> Numbers:
    """Return which rows there are."""
    found: Numbers = {}
    for table in look.tables:
        if table.row is not None and table.row.base in ("integer", "bigint"):
            rows = connection.execute(
                f"SELECT {table.row.sql} FROM {table.path} ORDER BY 1".encode()
            ).fetchall()
            found[table.oid] = [one[0] for one in rows if one[0] is not None]
    return found


def insert(pen: Pen, table: Table, numbers: Numbers, *, bad: float = 0.0) -> str | None:
    """Return an INSERT of one to three new rows."""
    if table.row is None or table.row.generated:
        return None
    skipped = {c.number for c in table.others() if _may_be_left_out(c) and pen.chance(0.3)}
    columns = [c for c in table.columns if not c.generated and c.identity != "a" and c.number not in skipped]
    rows = []
    for _ in range(1 if pen.chance(0.7) else pen.random.randrange(2, 4)):
        values = [
            str(pen.next() + 1000) if c is table.row else _value(pen, table, c, numbers) for c in columns
        ]
        if None in values:
            return None
        rows.append(f"({', '.join(map(str, values))})")
    listed = ", ".join(c.sql for c in columns)
    return f"INSERT INTO {table.path} ({listed}) VALUES {', '.join(rows)}"


def _may_be_left_out(column: Column) -> bool:
    return column.default is not None or not column.not_null or bool(column.identity)


def _value(pen: Pen, table: Table, column: Column, numbers: Numbers) -> str | None:
    key = next((k for k in pen.look.keys(table, "f") if k["columns"] == [column.number]), None)
    if key is not None:
        there = numbers.get(key["to_table"], [])
        if key["to_columns"] == [1] and there and (column.not_null or pen.chance(0.8)):
            return str(pen.random.choice(there))
        return None if column.not_null else "NULL"
    if not column.not_null and pen.chance(0.12):
        return "NULL"
    return pen.value(column)


def update(pen: Pen, table: Table, numbers: Numbers) -> str | None:
    """Return an UPDATE of one row or a few, or of a key."""
    columns = [c for c in table.others() if not c.generated and c.identity != "a"]
    there = numbers.get(table.oid, [])
    if table.row is None or not columns or not there:
        return None
    chosen = pen.random.sample(columns, min(len(columns), 1 if pen.chance(0.7) else 2))
    sets = [(c.sql, _value(pen, table, c, numbers)) for c in chosen]
    if any(one is None for _, one in sets):
        return None
    told = ", ".join(f"{name} = {one}" for name, one in sets)
    unique = pen.look.unique_columns(table) & {c.number for c in chosen}
    rows = pen.random.sample(there, 1 if unique or pen.chance(0.7) else min(len(there), 3))
    return f"UPDATE {table.path} SET {told} WHERE {table.row.sql} IN ({', '.join(map(str, sorted(rows)))})"


def delete(pen: Pen, table: Table, numbers: Numbers) -> str | None:
    there = numbers.get(table.oid, [])
    if table.row is None or not there:
        return None
    return f"DELETE FROM {table.path} WHERE {table.row.sql} = {pen.random.choice(there)}"


def draw_write(pen: Pen, numbers: Numbers) -> str | None:
    """Return what code that knows the tables as they are would write."""
    table = pen.table()
    if table is None:
        return None
    how = pen.random.random()
    if how < 0.45:
        return insert(pen, table, numbers)
    return update(pen, table, numbers) if how < 0.85 else delete(pen, table, numbers)


# --- of migrations, which do not know the rows -------------------------------------------------------------------


def seed(pen: Pen) -> Drawn:
    table = pen.table()
    told = table and insert(pen, table, {})
    return told and [told]


def overwrite(pen: Pen) -> Drawn:
    """An UPDATE of a column that there is."""
    table = pen.table()
    if table is None or table.row is None:
        return None
    column = pen.column(table)
    if column is None or column.identity == "a" or column.number in pen.look.unique_columns(table):
        return None
    if any(column.number in k["columns"] for k in pen.look.keys(table, "f")):
        return None
    to = f"upper({column.sql})" if column.type == "text" and pen.chance(0.5) else pen.value(column)
    return [f"UPDATE {table.path} SET {column.sql} = {to}{_some(pen, table)}"]


def clean(pen: Pen) -> Drawn:
    table = pen.table()
    if table is None or table.row is None:
        return None
    return [f"DELETE FROM {table.path} WHERE {table.row.sql} % 3 = {pen.random.randrange(3)}"]


def truncate(pen: Pen) -> Drawn:
    table = pen.table()
    return table and [f"TRUNCATE {table.path}{' CASCADE' if pen.chance(0.5) else ''}"]


def copy(pen: Pen) -> Drawn:
    """An INSERT of what stands in another table."""
    table, source = pen.table(), pen.table()
    if table is None or source is None or table.row is None or source.row is None:
        return None
    columns: list[tuple[str, str]] = [(table.row.sql, f"{source.row.sql} + {pen.next() * 100000}")]
    for c in table.others():
        if c.generated or c.identity:
            continue
        same = [s for s in source.columns if s.type == c.type]
        if same:
            columns.append((c.sql, pen.random.choice(same).sql))
        elif c.not_null and c.default is None:
            columns.append((c.sql, pen.value(c)))
    names, values = ", ".join(a for a, _ in columns), ", ".join(b for _, b in columns)
    return [f"INSERT INTO {table.path} ({names}) SELECT {values} FROM {source.path}{_some(pen, source)}"]


def _some(pen: Pen, table: Table) -> str:
    assert table.row is not None
    return "" if pen.chance(0.4) else f" WHERE {table.row.sql} % 2 = {pen.random.randrange(2)}"


def sample(random: Random, some: Sequence[str], count: int) -> list[str]:
    return random.sample(list(some), min(len(some), count))


def name_of(table: Table) -> str:
    return quoted(table.schema, table.name)
