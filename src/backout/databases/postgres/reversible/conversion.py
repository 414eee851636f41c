"""Converting the rows written since between a column and the one that took its place, whichever of the two is hidden.

A hidden boolean tells those rows: its default is true, and a trigger sets it when the visible column of a row changes.
NULL: both columns are as they belong together. False: the value could not be converted, and is kept in the hidden column.

The expressions stand in the catalog, as functions: parsed, so that whatever they name may be renamed or hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from backout.databases.postgres.reversible import expressions
from backout.databases.postgres.reversible.link import LinkError, objects, scalar
from backout.databases.postgres.reversible.names import (
    LAST,
    PREFIX,
    SCHEMA,
    hidden,
    ident,
    is_hidden,
    literal,
)
from backout.databases.postgres.reversible.own_types import drop_between
from backout.databases.postgres.reversible.private import shutting
from backout.databases.postgres.reversible.rows.quiet import quietly
from backout.databases.postgres.reversible.rows.store import PATH, SETTING, WAY
from backout.databases.postgres.reversible.snapshot import Thing
from backout.databases.postgres.reversible.work import Moved, Work

Record = dict[str, Any]

_SETTINGS = ("TimeZone", "DateStyle", "IntervalStyle", "extra_float_digits", "bytea_output")
"""What the result of a conversion may depend on."""

_MODIFIER = re.compile(r"\([0-9, ]*\)")
_TIMES = {
    "timestamp without time zone": "pg_catalog.timestamp",
    "timestamp with time zone": "pg_catalog.timestamptz",
}
"""Types of which PostgreSQL changes the one to the other in the catalog alone, and that it does not take for each other in a call.

By their names in `pg_catalog`, as others may be renamed. Source: PostgreSQL 15, tablecmds.c, `ATColumnChangeRequiresRewrite`.
"""

_NOT_CONVERTED = ("22", "23502", "23514")


def function(work: Work, name: str, node: Any, columns: dict[str, tuple[int, str]], returns: str) -> Record:
    """Make a function of an expression over a table's columns.

    Args:
        work: The transaction; names in the expression are looked up as its session does.
        name: Of the function.
        node: The expression's tree.
        columns: Attnum and type of the columns that it may name.
        returns: Type; PostgreSQL casts to it where it would in an assignment.

    Returns:
        Its name, the attnums of its arguments, and the types that they have to be cast to.

    Raises:
        LinkError: PostgreSQL refuses it.
        NotOverColumns: It names something else.
    """
    used = expressions.named(node)
    for one in used:
        if one not in columns:
            raise expressions.unknown(one, columns)
    body = expressions.over(node, lambda column: used.index(column) + 1)
    types = ", ".join(columns[one][1] for one in used)
    path = ident(SCHEMA, name)
    # Its text is read now, and looks nothing up later. Without a `search_path` of its own, PostgreSQL can put it in its place.
    with _checked(work):
        work.run(f"CREATE FUNCTION {path}({types}) RETURNS {returns} LANGUAGE sql RETURN ({body})")
    shut(work)
    # A column may have the other of these when it is called.
    casts = [_TIMES.get(_MODIFIER.sub("", columns[one][1])) for one in used]
    return {"function": name, "columns": [columns[one][0] for one in used], "types": casts}


@contextmanager
def _checked(work: Work) -> Iterator[None]:
    """Have PostgreSQL refuse what is no value of the type that it returns, also where the migration switched that off, as pg_dump does."""
    had = scalar(work.link, "SELECT pg_catalog.current_setting('check_function_bodies')")
    if had == "off":
        work.link.rows("SET LOCAL check_function_bodies = on")
    yield
    if had == "off":
        work.link.rows("SET LOCAL check_function_bodies = off")


def settings(work: Work) -> dict[str, str]:
    """Return the session's settings that a conversion may depend on."""
    return {
        name: scalar(work.link, f"SELECT pg_catalog.current_setting('{name}')") or "" for name in _SETTINGS
    }


def watch(work: Work, change: int, table: int, attnums: Sequence[int], *, unless: str = SETTING) -> None:
    """Have the rows marked whose value in one of these columns changes, and no other column's.

    By image: some types have no equality, and of those that have one, equal values may differ. By the function and not
    its operator: PostgreSQL cannot read again what it prints of that. What a migration itself writes is not marked: the
    way back of its rows knows it, and the hidden column has what was there before. Nor is what that way writes, where it
    names the change: the hidden column has what belongs to what the migration wrote.

    Args:
        work: The transaction.
        change: Number of the journal row.
        table: Oid.
        attnums: The columns.
        unless: While this setting is not empty, nothing is marked.
    """
    path = work.table_path(table, called=hidden(change))
    names = [ident(work.thing("column", table, one, called=hidden(change))["name"]) for one in attnums]
    new, old = (f"ROW({', '.join(f'{row}.{one}' for one in names)})" for row in ("NEW", "OLD"))
    name = ident(f"{LAST}{change}")
    unwatch(work, change, table)
    work.run(
        f"CREATE TRIGGER {name} BEFORE UPDATE ON {path} FOR EACH ROW "
        f"WHEN (pg_catalog.record_image_ne({new}, {old}) "
        f"AND coalesce(pg_catalog.current_setting('{unless}', true), '') OPERATOR(pg_catalog.=) '' "
        f"AND pg_catalog.strpos(coalesce(pg_catalog.current_setting('{WAY}', true), ''), ',{change},') OPERATOR(pg_catalog.=) 0) "
        f"EXECUTE FUNCTION {ident(SCHEMA, f'{PREFIX}{change}_mark')}()"
    )
    work.run(f"ALTER TABLE {path} ENABLE ALWAYS TRIGGER {name}")


def unwatch(work: Work, change: int, table: int) -> None:
    """Undo `watch`. Idempotent."""
    name = f"{LAST}{change}"
    if any(one["name"] == name for one in work.now.of_table("trigger", table).values()):
        work.run(f"DROP TRIGGER {ident(name)} ON {work.table_path(table, called=hidden(change))}")


def told_by(columns: dict[int, Thing], read: Sequence[int]) -> list[int]:
    """Return the columns by whose changes it is told that a value which is made of some may be another one.

    Args:
        columns: That can be watched, by attnum.
        read: What the value is made of.
    """
    # Hazard: what a generated column is now is not known before the UPDATE.
    plain = [attnum for attnum, one in columns.items() if not one["generated"]]
    there = [attnum for attnum in read if attnum in columns]
    return there if set(there) <= set(plain) else plain


def marker(work: Work, change: int, column: str, value: str = "true") -> None:
    """Make the function that marks a row by a column. Whoever writes rows runs it, and it does nothing else."""
    path = ident(SCHEMA, f"{PREFIX}{change}_mark")
    body = f"BEGIN NEW.{ident(column)} := {value}; RETURN NEW; END"
    work.run(
        f"CREATE FUNCTION {path}() RETURNS trigger LANGUAGE plpgsql SET search_path = {PATH} AS {literal(body)}"
    )
    shut(work)


def shut(work: Work) -> None:
    """Shut what the engine has made off from everybody but its owner, whatever default privileges say. Idempotent."""
    for statement in shutting(work.link):
        work.run(statement)


def forget(work: Work, change: int, operation: Record) -> None:
    """Drop what tells and converts the rows written since: there is no way back any more."""
    table, mark = _marked(work, change, operation), f"{hidden(change)}_d"
    unwatch(work, change, table)
    if any(one["name"] == mark for one in work.now.columns(table).values()):
        path = work.table_path(table, called=hidden(change))
        work.run(f"ALTER TABLE {path} DROP COLUMN {ident(mark)}")
    ours = f"proname ~ '^{hidden(change)}_(mark|up|down)[0-9]*$'"
    for one in objects(
        work.link,
        f"SELECT oid::regprocedure::text AS called FROM pg_catalog.pg_proc WHERE pronamespace = '{SCHEMA}'::regnamespace AND {ours}",
    ):
        work.run(f"DROP FUNCTION {one['called']}")
    drop_between(work)


def _marked(work: Work, change: int, operation: Record) -> int:
    """Return the oid of the table whose rows are marked: after a dump and restore the trigger's name tells it."""
    named = (
        int(one["table"])
        for key, one in work.now.things.items()
        if key.kind == "trigger" and one["name"] == f"{LAST}{change}"
    )
    return next(named, int(operation["table"]))


@contextmanager
def by_index(work: Work) -> Iterator[None]:
    """Have marked rows found by their index: nothing is known of how few they are.

    Hazard: what has to read a whole table then seems to cost so much that it is compiled first.
    """
    work.run("SET LOCAL enable_seqscan = off")
    work.run("SET LOCAL jit = off")
    yield
    work.run("SET LOCAL enable_seqscan = on")


@contextmanager
def unwatched(work: Work, table: int, attnum: int) -> Iterator[None]:
    """Take the engine's marking triggers away from a table for as long as a column's type changes, and its guard, if it is hidden."""
    path = work.table_path(table, called=f"table {table}")
    guard = str(work.now.columns(table)[attnum]["name"])
    found = [
        one
        for one in work.now.of_table("trigger", table).values()
        if one["name"].startswith(LAST) or (one["name"] == guard and is_hidden(guard))
    ]
    for one in found:
        work.run(f"DROP TRIGGER {ident(one['name'])} ON {path}")
    yield
    for one in found:
        work.run(one["definition"])
        if one["enabled"] == "A":
            work.run(f"ALTER TABLE {path} ENABLE ALWAYS TRIGGER {ident(one['name'])}")


def convert(
    work: Work,
    operation: Record,
    steps: list[Record],
    *,
    to: int,
    required: bool,
    value: str | None,
    done: str = "NULL",
    tells: str | None = None,
) -> None:
    """Convert the marked rows, and take the mark away.

    Args:
        work: The transaction, which holds the table's exclusive lock.
        operation: With `table`, `called`, `mark` (attnum) and `settings`.
        steps: Functions, each over columns or (0) the result of the one before.
        to: The column that gets the values.
        required: It may hold no NULL.
        value: SQL for rows whose value cannot be converted, or is NULL where that may not be; None: NULL.
        done: What the mark becomes in converted rows.
        tells: The column that somebody can tell such a value of; None: nobody can.

    Raises:
        Moved: Some values cannot be converted, and there is nothing to put in their place.
    """
    table, called = operation["table"], operation["called"]
    path = work.table_path(table, called=called)
    columns = work.now.columns(table)
    mark, target = (ident(columns[attnum]["name"]) for attnum in (operation["mark"], to))
    expression = called_with(work, table, steps)
    if required and value is not None:
        expression = f"coalesce({expression}, {value})"
    set_as(work, operation["settings"])
    with quietly(work.link, [table], []), by_index(work):
        work.link.rows("SAVEPOINT backout")
        try:
            work.run(f"UPDATE {path} SET {target} = {expression}, {mark} = {done} WHERE {mark}")
        except LinkError as error:
            work.link.rows("ROLLBACK TO SAVEPOINT backout")
            work.forget()
            if not error.sqlstate.startswith(_NOT_CONVERTED):
                raise
            _one_by_one(work, path, (target, mark, expression), value, done)
            _tell(work, called, required=required and value is None, why=str(error), tells=tells)
        work.link.rows("RELEASE SAVEPOINT backout")


def called(step: Record, given: Sequence[str]) -> str:
    """Return the text that calls a function on what it is given, cast to what the function takes where that has to be."""
    types = step.get("types") or [None] * len(given)
    cast = [f"({one})::{kind}" if kind else one for one, kind in zip(given, types, strict=True)]
    return f"{ident(SCHEMA, step['function'])}({', '.join(cast)})"


def called_with(work: Work, table: int, steps: list[Record], *, of: str = "") -> str:
    """Return the text that calls functions on a row, each on what the one before gave, the first on what is given."""
    columns, expression = work.now.columns(table), of
    for step in steps:
        given = [ident(columns[one]["name"]) if one else expression for one in step["columns"]]
        expression = called(step, given)
    return expression


def set_as(work: Work, told: dict[str, str]) -> None:
    """Set the session as it was when the migration ran, for the transaction."""
    for name, setting in told.items():
        work.run(f"SET LOCAL {name} = {literal(setting)}")


def _one_by_one(work: Work, path: str, parts: tuple[str, str, str], value: str | None, done: str) -> None:
    """Convert the rows that can be; mark the others as kept, and count them."""
    target, mark, expression = parts
    body = f"""DECLARE
  row_at tid; kept bigint := 0;
BEGIN
  FOR row_at IN SELECT ctid FROM {path} WHERE {mark} LOOP
    BEGIN
      UPDATE {path} SET {target} = {expression}, {mark} = {done} WHERE ctid = row_at;
    EXCEPTION WHEN data_exception OR check_violation OR not_null_violation THEN
      UPDATE {path} SET {target} = {value or "NULL"}, {mark} = false WHERE ctid = row_at;
      kept := kept + 1;
    END;
  END LOOP;
  PERFORM pg_catalog.set_config('backout.kept', kept::text, true);
END"""
    work.run(f"DO {literal(body)}")


def _tell(work: Work, called: str, *, required: bool, why: str, tells: str | None) -> None:
    kept = scalar(work.link, "SELECT pg_catalog.current_setting('backout.kept')")
    told = f"has {kept} {'value' if kept == '1' else 'values'} written since that its other type cannot hold ({why})"
    if required:
        raise Moved(called, told, fill=tells)
    work.residues.append(f"{called} {told}: kept, hidden")
