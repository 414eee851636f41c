"""Answers are tried when they are given: one that is no value of its column would close the way back when it is needed."""

from __future__ import annotations

from backout.databases.postgres.reversible.answers import unusable
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.fill import accepts_null
from backout.databases.postgres.reversible.link import Link, LinkError, objects
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.remedies import ONCE, table_of

_SAVEPOINT = "backout_answer"
_ATTNUMS = ("attnum", "old", "new")


def answer_tried(link: Link, operation: Operation) -> Operation:
    """Return an operation, whose answer PostgreSQL takes for a value of the column; no row is read or written.

    Args:
        link: In a transaction, with the session's own `search_path`.
        operation: With `fill` or `remedy`, where there is an answer.

    Raises:
        Veto: PostgreSQL refuses it.
    """
    answer = operation.get("fill")
    if answer is not None and not accepts_null(answer):
        called = operation["hidden"]["called"] if "called" not in operation else operation["called"]
        told = operation if operation.keys() & {*_ATTNUMS} else operation["hidden"]
        attnum = next(told[one] for one in _ATTNUMS if one in told)
        _tried(link, told["table"], attnum, answer, called)
    for one in (operation.get(ONCE) or operation.get("remedy") or {}).get("repairs", ()):
        table = table_of(operation)
        called = f"{operation['called'].rpartition('.')[0]}.{one['names'][str(one['attnum'])]}"
        _tried(link, table, one["attnum"], one["value"], called)
    return operation


def _tried(link: Link, table: int, attnum: int, answer: str, called: str) -> None:
    path, column = _place(link, table, attnum)
    link.rows(f"SAVEPOINT {_SAVEPOINT}")
    try:
        link.rows(f"EXPLAIN UPDATE {path} SET {column} = {answer}")
    except LinkError as error:
        raise unusable(called, answer, str(error)) from error
    finally:
        link.rows(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        link.rows(f"RELEASE SAVEPOINT {_SAVEPOINT}")


def _place(link: Link, table: int, attnum: int) -> tuple[str, str]:
    """Return the quoted names of the table, and of the column that gets the value."""
    (found,) = objects(
        link,
        "SELECT n.nspname AS schema, c.relname AS name, a.attname AS column FROM pg_catalog.pg_attribute a "
        "JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE a.attrelid = {table} AND a.attnum = {attnum}",
    )
    return ident(found["schema"], found["name"]), ident(found["column"])
