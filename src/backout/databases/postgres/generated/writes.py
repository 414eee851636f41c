"""Writes as an application makes them: new rows, changes of old and new ones, and deletions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.generated.look import Column, Look, Table, look
from backout.databases.postgres.generated.rows import fill
from backout.databases.postgres.generated.values import FORMS, values
from backout.databases.postgres.reversible.names import ident

if TYPE_CHECKING:
    import psycopg

_KEPT_TRIES = 4


@dataclass(slots=True)
class Written:
    """How many rows were inserted, changed and deleted.

    Attributes:
        refused: Tables that took no new row, by their quoted names, with what the server said.
    """

    inserted: int = 0
    changed: int = 0
    deleted: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows were written."""
        return self.inserted + self.changed + self.deleted


def write(
    connection: psycopg.Connection[Any],
    *,
    first: int,
    only: Mapping[str, Collection[str]] | None = None,
    spared: Collection[int] = (),
) -> Written:
    """Insert two rows into every table, change two columns of two old rows and of a new one, and delete an old and a new row.

    What the database does not allow is left: a change that a rule forbids, the deletion of a row that others refer to.

    Args:
        connection: In autocommit.
        first: Number of the first new row.
        only: The columns that whoever writes knows of, by a table's quoted name; None: all.
        spared: Tables, by oid, of which no row is deleted: rows that are not visible now may refer to them.
    """
    tables = look(connection)
    old = {one.oid: _keys(connection, one) for one in tables.tables.values()}
    made = fill(connection, first=first, rows=2, only=only, seen=tables)
    told = Written(inserted=sum(made.made.values()), refused=made.empty)
    for table in tables.tables.values():
        known = [c for c in table.columns if only is None or c.name in only.get(table.path, ())]
        before = set(old[table.oid])
        new = [key for key in _keys(connection, table) if key not in before]
        rows = old[table.oid]
        for number, key in enumerate([*rows[:2], *new[:1]]):
            told.changed += _change(connection, tables, table, known, key, first + 10 + number)
        if table.oid not in tables.referenced and table.oid not in spared and known:
            told.deleted += sum(_delete(connection, table, key) for key in (*rows[2:3], *new[1:2]))
    return told


_Key = tuple[str | None, ...]


def _key_of(table: Table) -> tuple[str, ...]:
    """Return the columns that tell a table's rows apart; nothing: there are none, and only new rows are written."""
    not_null = {c.name for c in table.columns if c.not_null}
    return table.primary or next((key for key in table.keys if set(key) <= not_null), ())


def _keys(connection: psycopg.Connection[Any], table: Table) -> list[_Key]:
    if not (key := _key_of(table)):
        return []
    listed = ", ".join(f"{ident(name)}::text" for name in key)
    order = ", ".join(ident(name) for name in key)
    return connection.execute(f"SELECT {listed} FROM {table.own} ORDER BY {order}".encode()).fetchall()


def _change(
    connection: psycopg.Connection[Any],
    tables: Look,
    table: Table,
    known: Collection[Column],
    key: _Key,
    n: int,
) -> int:
    """Change up to two columns of a row, each alone; return 1 if any was changed."""
    done = 0
    for column in list(_free(table, known))[n % 2 :: 2][:2]:
        for value in _others(tables, column, n):
            if _try(
                connection,
                f"UPDATE {_escaped(table.own)} SET {_escaped(ident(column.name))} = %s WHERE {_where(table)}",
                (value, *key),
            ):
                done = 1
                break
    return done


def _others(tables: Look, column: Column, n: int) -> Iterator[str]:
    for place, value in enumerate(values(tables, column, n, FORMS[0])):
        if place == _KEPT_TRIES:
            return
        yield value


def _free(table: Table, known: Collection[Column]) -> Iterator[Column]:
    """Yield the columns that are no part of a key, of this table or another, and not computed."""
    bound = {name for key in table.keys for name in key} | {n for f in table.foreign for n in f.columns}
    yield from (c for c in known if c.name not in bound and not c.generated and not c.numbered)


def _delete(connection: psycopg.Connection[Any], table: Table, key: _Key) -> int:
    return _try(connection, f"DELETE FROM {_escaped(table.own)} WHERE {_where(table)}", key)


def _where(table: Table) -> str:
    # A key is compared as text, as it was read: whatever its type, that is the same row.
    return " AND ".join(f"{_escaped(ident(name))}::text = %s" for name in _key_of(table))


def _escaped(name: str) -> str:
    return name.replace("%", "%%")


def _try(connection: psycopg.Connection[Any], statement: str, given: Collection[str | None]) -> int:
    import psycopg

    try:
        with connection.transaction():
            return connection.execute(statement.encode(), tuple(given)).rowcount
    except psycopg.Error:
        return 0
