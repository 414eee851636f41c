"""Values of columns, and rows of tables, that a down makes again: brought from a restored backup, by primary key.

They are brought in the transaction of the down, as soon as there is a place for them: a constraint that comes later finds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.inverse.matching import match
from backout.databases.postgres.inverse.model import CONSTRAINT, RELATION, Catalog, Thing
from backout.databases.postgres.reversible.names import PREFIX, ident, literal
from backout.migration_down import Brought, Wanted

if TYPE_CHECKING:
    import psycopg

_BATCH = 1000
# As values are read from what is printed, whoever had set it otherwise; and no policy may leave out rows unnoticed.
_SETTINGS = (
    "SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'; SET extra_float_digits = 1;"
    " SET bytea_output = 'hex'; SET row_security = off; SET default_transaction_read_only = on"
)
# {0}: name of a table, as a literal.
_TYPES = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a
WHERE a.attrelid = to_regclass({0}) AND a.attnum > 0 AND NOT a.attisdropped"""
# Those of backout are there while the down runs through it. One that fires always would have to be switched on so again.
_TRIGGERS = f"""
SELECT t.tgname::text FROM pg_catalog.pg_trigger t
WHERE t.tgrelid = to_regclass({{0}}) AND NOT t.tgisinternal AND t.tgenabled = 'O' AND NOT starts_with(t.tgname, '{PREFIX}')"""


def wanted(after: Catalog, live: Catalog) -> tuple[list[Wanted], list[str]]:
    """Return what a down makes again, and columns of it whose rows nothing tells apart. Pure.

    Args:
        after: The schema after the down, in a copy.
        live: The one before it.
    """
    pairs = match(after, live, same_origin=True)
    found: list[Wanted] = []
    keyless: list[str] = []
    for at, table in sorted(after.things.items(), key=lambda one: one[1].order):
        if table.kind != "table" or table.facts["partitioned_by"]:
            continue
        own = [one for one in after.columns_of.get(at[1], ()) if not one.facts["generated"]]
        if at not in pairs.things:
            found.append(Wanted(table=table.identity, columns=tuple(one.name for one in own)))
            continue
        columns = tuple(one.name for one in own if one.at not in pairs.columns)
        keys = _keys(after, table)
        if columns and keys and not set(keys) & set(columns):
            # Each alone: what follows in the file may count on the one before there is another.
            found += [Wanted(table=table.identity, columns=(one,), keys=keys) for one in columns]
        elif columns:
            keyless += [f"{table.identity}.{ident(one)}" for one in columns]
    return found, keyless


def _keys(catalog: Catalog, table: Thing) -> tuple[str, ...]:
    for at, one in catalog.things.items():
        if at[0] == CONSTRAINT and one.table == table.at[1] and one.facts["letter"] == "p":
            return tuple(
                catalog.columns[(RELATION, one.table, int(number))].name for number in one.facts["key"]
            )
    return ()


class Bringing:
    """Brings what is wanted, each as soon as there is a place for it.

    Args:
        there: The restored backup.
        here: The database, in the transaction of the down.
        chosen: What is wanted.
    """

    def __init__(
        self, there: psycopg.Connection[Any], here: psycopg.Connection[Any], chosen: list[Wanted]
    ) -> None:
        there.execute(_SETTINGS.encode())
        self._there, self._here, self._left = there, here, chosen
        self.brought: list[Brought] = []

    def look(self) -> None:
        """Bring what has a place by now."""
        for one in list(self._left):
            types = {row[0]: row[1] for row in _read(self._here, _TYPES.format(literal(one.table)))}
            if {*one.columns, *one.keys} <= types.keys():
                self._left.remove(one)
                self.brought.append(self._bring(one, types))

    def finish(self) -> None:
        """Have what numbers the rows that were brought go on behind them, when all else is done."""
        for one in self.brought:
            for name in one.columns:
                ((sequence,),) = _read(
                    self._here,
                    f"SELECT pg_catalog.pg_get_serial_sequence({literal(one.table)}, {literal(name)})",
                )
                if sequence:
                    ((last,),) = _read(
                        self._here, f"SELECT coalesce(max({ident(name)}), 0) + 1 FROM {one.table}"
                    )
                    self._here.execute(f"ALTER SEQUENCE {sequence} RESTART WITH {last}".encode())

    def _bring(self, one: Wanted, types: dict[str, str]) -> Brought:
        has = {name for name, _ in _read(self._there, _TYPES.format(literal(one.table)))}
        columns = tuple(name for name in one.columns if name in has)
        if not columns or not set(one.keys) <= has:
            return Brought(table=one.table, columns=(), rows=0)
        chosen = Wanted(table=one.table, columns=columns, keys=one.keys)
        statement = _update(chosen, types) if one.keys else _insert(chosen, types)
        triggers = [name for (name,) in _read(self._here, _TRIGGERS.format(literal(one.table)))]
        for name in triggers:  # what they would do they have done when the values were written first
            self._here.execute(f"ALTER TABLE {one.table} DISABLE TRIGGER {ident(name)}".encode())
        rows = sum(
            self._here.execute(
                statement.encode(), [list(values) for values in zip(*batch, strict=True)]
            ).rowcount
            for batch in self._batches(chosen)
        )
        for name in triggers:
            self._here.execute(f"ALTER TABLE {one.table} ENABLE TRIGGER {ident(name)}".encode())
        without = None
        if one.keys:
            ((total,),) = _read(self._here, f"SELECT count(*) FROM {one.table}")
            without = int(total) - rows
        return Brought(table=one.table, columns=columns, rows=rows, without=without)

    def _batches(self, one: Wanted) -> Iterator[list[tuple[str | None, ...]]]:
        listed = ", ".join(f"{ident(name)}::text" for name in (*one.keys, *one.columns))
        with self._there.cursor() as cursor:
            cursor.execute(f"SELECT {listed} FROM ONLY {one.table}".encode())
            while batch := cursor.fetchmany(_BATCH):
                yield batch


def _read(connection: psycopg.Connection[Any], query: str) -> list[tuple[str, ...]]:
    """Return the rows of a query of our own that looks something up, NULL as an empty text.

    By COPY: of a SELECT backout cannot know that it runs nothing that changes something.
    """
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT".encode()) as copy:
        return [tuple(value or "" for value in row) for row in copy.rows()]


def _update(one: Wanted, types: dict[str, str]) -> str:
    sets = ", ".join(f"{ident(c)} = v.c{n}::{types[c]}" for n, c in enumerate(one.columns))
    same = " AND ".join(f"t.{ident(k)} = v.k{n}::{types[k]}" for n, k in enumerate(one.keys))
    names = [*(f"k{n}" for n in range(len(one.keys))), *(f"c{n}" for n in range(len(one.columns)))]
    return f"UPDATE {one.table} t SET {sets} FROM {_unnested(names)} WHERE {same}"


def _insert(one: Wanted, types: dict[str, str]) -> str:
    names = [f"c{n}" for n in range(len(one.columns))]
    values = ", ".join(f"v.c{n}::{types[c]}" for n, c in enumerate(one.columns))
    listed = ", ".join(ident(c) for c in one.columns)
    return (
        f"INSERT INTO {one.table} ({listed}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {_unnested(names)}"
    )


def _unnested(names: list[str]) -> str:
    lists = ", ".join(["pg_catalog.unnest(%s::text[])"] * len(names))
    return f"ROWS FROM ({lists}) AS v({', '.join(names)})"
