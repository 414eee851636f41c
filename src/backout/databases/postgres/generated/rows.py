"""Fills every table with rows that respect all that the database demands: by trying, and heeding what the server says."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.generated.look import Look, Table, look
from backout.databases.postgres.generated.slots import OWN, Given, Slot, slots
from backout.databases.postgres.generated.values import FORMS, values
from backout.databases.postgres.reversible.names import ident

if TYPE_CHECKING:
    import psycopg

_TRIES = 300
_WILD = 12

_RULES = ("23505", "23514", "23P01")
_NOT_NULL, _FOREIGN = "23502", "23503"


@dataclass(slots=True)
class Filled:
    """What came of filling.

    Attributes:
        made: How many rows each table got, by its quoted name.
        empty: Tables that got none, with what the server said last.
    """

    made: dict[str, int] = field(default_factory=dict)
    empty: dict[str, str] = field(default_factory=dict)


def fill(
    connection: psycopg.Connection[Any],
    *,
    first: int,
    rows: int = 3,
    form: str = FORMS[0],
    only: Mapping[str, Collection[str]] | None = None,
    seen: Look | None = None,
) -> Filled:
    """Put rows into every table: one with all values, one of nulls and defaults, then with texts of other forms, by turns.

    Args:
        connection: In autocommit, as a role that may write all tables.
        first: Number of the first row: the values of rows of different numbers differ.
        rows: How many rows each table gets.
        form: What texts look like in the first row.
        only: The columns that whoever writes knows of, by a table's quoted name; a table that is not in it gets no row. None: all.
        seen: The tables, if they were looked at already.
    """
    tables = seen or look(connection)
    told = Filled()
    for i in range(rows):
        for table in _in_order(tables):
            if only is not None and table.path not in only:
                continue
            n, at = first + i, (FORMS.index(form) + i) % len(FORMS)
            columns = None if only is None else only[table.path]
            refused = put(connection, tables, table, n, FORMS[at], sparse=i % 3 == 1, only=columns)
            if refused is None:
                told.made[table.path] = told.made.get(table.path, 0) + 1
            else:
                told.empty[table.path] = refused
    told.empty = {path: why for path, why in told.empty.items() if path not in told.made}
    return told


def put(
    connection: psycopg.Connection[Any],
    tables: Look,
    table: Table,
    n: int,
    form: str,
    *,
    sparse: bool = False,
    only: Collection[str] | None = None,
) -> str | None:
    """Put one row into a table; return why not, if the server took none that was tried. The arguments are those of `slots`."""
    import psycopg

    parts = slots(connection, tables, table, n, form, sparse=sparse, only=only)
    at, wild, said = [0] * len(parts), 0, "no value could be made"
    for _ in range(_TRIES):
        if any(not slot.choices for slot in parts):
            lacking = next(slot for slot in parts if not slot.choices)
            return f"nothing to put into {', '.join(lacking.columns)}"
        chosen = [slot.choices[place] for slot, place in zip(parts, at, strict=True)]
        try:
            with connection.transaction():
                connection.execute(*_insert(tables, table, n, form, chosen))
        except psycopg.Error as error:
            said = error.diag.message_primary or str(error)
            concerned = list(_concerned(tables, table, parts, error))
            if not concerned:
                wild += 1
                concerned = [i for i, slot in enumerate(parts) if len(slot.columns) == 1]
                if wild > _WILD or not _each_on(parts, at, concerned):
                    return said
            elif not _on(parts, at, concerned):
                return said
        else:
            return None
    return said


def _insert(
    tables: Look, table: Table, n: int, form: str, chosen: list[Given]
) -> tuple[bytes, list[str | None]]:
    given: Given = {name: value for one in chosen for name, value in one.items()}
    columns = {c.name: c for c in table.columns}
    for name, value in list(given.items()):
        if value is not None and value.startswith(OWN):
            to = value.removeprefix(OWN)
            if given.get(to) is None:
                given[to] = next(values(tables, columns[to], n, form), None)
            given[name] = given[to]
    if not given:
        return f"INSERT INTO {table.path} DEFAULT VALUES".encode(), []
    names = ", ".join(map(ident, given)).replace("%", "%%")
    over = " OVERRIDING SYSTEM VALUE" if any(columns[name].identity == "a" for name in given) else ""
    path, places = table.path.replace("%", "%%"), ", ".join(["%s"] * len(given))
    return f"INSERT INTO {path} ({names}){over} VALUES ({places})".encode(), list(given.values())


def _concerned(tables: Look, table: Table, parts: list[Slot], error: psycopg.Error) -> Iterator[int]:
    """Yield which slots an error is about; nothing: it does not say."""
    told, state = error.diag, error.sqlstate
    names: set[str] = set()
    if state in _RULES:
        rule = table.rules.get(told.constraint_name or "")
        if told.datatype_name:
            names = {c.name for c in table.columns if tables.type_of(c).kind == "d"}
        elif rule is not None:
            names = set(rule.columns)
        elif state == "23505":
            names = {name for key in table.keys for name in key}
        else:
            names = {name for name, named in table.literals.items() if named}
    elif state == _NOT_NULL and told.column_name:
        names = {told.column_name}
    elif state == _FOREIGN:
        names = {name for one in table.foreign if one.name == told.constraint_name for name in one.columns}
    for i, slot in enumerate(parts):
        if names & set(slot.columns):
            yield i


def _on(parts: list[Slot], at: list[int], concerned: list[int]) -> bool:
    """Go on to the next combination of some slots; False: all were tried."""
    for i in concerned:
        if at[i] + 1 < len(parts[i].choices):
            at[i] += 1
            return True
        at[i] = 0
    return False


def _each_on(parts: list[Slot], at: list[int], concerned: list[int]) -> bool:
    """Go on in every one of some slots; False: none has another choice."""
    moved = False
    for i in concerned:
        if len(parts[i].choices) > 1:
            at[i], moved = (at[i] + 1) % len(parts[i].choices), True
    return moved


def _in_order(tables: Look) -> Iterator[Table]:
    """Yield tables, those first that others have to refer to."""
    done: set[int] = set()
    waiting = dict(tables.tables)
    while waiting:
        ready = [
            one for one in waiting.values() if _required(one) - {one.oid} <= done | _unknown(one, tables)
        ]
        for one in ready or [next(iter(waiting.values()))]:
            done.add(one.oid)
            del waiting[one.oid]
            yield one


def _required(table: Table) -> set[int]:
    not_null = {c.name for c in table.columns if c.not_null}
    return {one.target for one in table.foreign if not_null >= set(one.columns)}


def _unknown(table: Table, tables: Look) -> set[int]:
    return {one.target for one in table.foreign if one.target not in tables.tables}
