"""Rows that the later schema allows and the earlier one does not: whoever releases it will write some, and they have to go back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.generated.look import Column, Look, Table, look
from backout.databases.postgres.generated.values import FORMS, values
from backout.databases.postgres.reversible.names import ident, literal

if TYPE_CHECKING:
    import psycopg

_LONG = 400
_LARGE = ("5000000000", "70000", "1e300", "123456789.987654321")


def tempt(connection: psycopg.Connection[Any], was: Look, *, first: int) -> int:
    """Change rows so that they have what only the later schema allows, and return how many were changed.

    A value twice where a key was dropped, NULL where a NOT NULL was, what refers to no row, what a dropped or changed rule named,
    labels that are new, and values that only a wider type holds.

    Args:
        connection: In autocommit; the database after the migration.
        was: The tables before it, by the same numbers.
        first: Begins the numbers of values that are made.
    """
    now = look(connection)
    done = 0
    for table in now.tables.values():
        before = was.tables.get(table.oid)
        if before is None:
            continue
        names = {c.number: c.name for c in table.columns}
        to = {c.name: names[c.number] for c in before.columns if c.number in names}
        # A row each: one that is wrong in two ways may hide that it is wrong in the second. Not the first: its values are taken twice.
        query = f"SELECT ctid::text FROM {table.own} ORDER BY ctid OFFSET 1"
        rows = [str(row[0]) for row in connection.execute(query.encode()).fetchall()]
        for row, sets in zip(rows, _sets(before, table, was, now, to, first), strict=False):
            done += _change(connection, table, row, sets)
    return done


def _sets(
    before: Table, table: Table, was: Look, now: Look, to: dict[str, str], first: int
) -> Iterator[list[str]]:
    """Yield what may be set, each as assignments of which one is tried after the other."""
    after = {c.name: c for c in table.columns}
    keys = {frozenset(key) for key in table.keys}
    for key in before.keys:
        if set(key) <= to.keys() and frozenset(to[c] for c in key) not in keys:
            columns = ", ".join(ident(to[c]) for c in key)
            yield [f"({columns}) = (SELECT {columns} FROM {table.own} ORDER BY ctid LIMIT 1)"]
    referring = {name for one in table.foreign for name in one.columns}
    named = set(table.rules)
    for column in before.columns:
        name = to.get(column.name)
        if name is None or after[name].generated:
            continue
        if column.not_null and not after[name].not_null:
            yield [f"{ident(name)} = NULL"]
        loose = {c for one in before.foreign for c in one.columns if column.name in one.columns}
        ruled = any(
            column.name in rule.columns and rule.columns not in before.keys
            for rule in before.rules.values()
            if rule.name not in named
        )
        retyped = (column.type, column.modifier) != (after[name].type, after[name].modifier)
        labelled = was.type_of(column).labels != now.type_of(after[name]).labels
        if (loose and name not in referring) or ruled or retyped or labelled:
            yield [
                f"{ident(name)} = {literal(one)}" for one in _tempting(column, after[name], was, now, first)
            ]


def _tempting(column: Column, after: Column, was: Look, now: Look, first: int) -> Iterator[str]:
    """Yield values, those first that the earlier column is the least likely to have held."""
    old = was.type_of(column).labels
    yield from (label for label in now.type_of(after).labels if label not in old)
    wide = ("x" * _LONG, *_LARGE)
    same = (column.type, column.modifier) == (after.type, after.modifier)
    yield from (f"-{first}", *wide) if same else (*wide, f"-{first}")
    yield from values(now, after, first, FORMS[0])


def _change(connection: psycopg.Connection[Any], table: Table, row: str, sets: list[str]) -> int:
    import psycopg

    for assignment in sets:
        statement = f"UPDATE {table.own} SET {assignment} WHERE ctid = {literal(row)}"
        with suppress(psycopg.Error), connection.transaction():
            return connection.execute(statement.encode()).rowcount
    return 0
