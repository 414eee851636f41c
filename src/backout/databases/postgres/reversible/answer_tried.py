"""Answers are tried when they are given: one that is no value of its column would close the way back when it is needed."""

from __future__ import annotations

from backout.databases.postgres.reversible.answers import unusable
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.fill import accepts_null
from backout.databases.postgres.reversible.link import Link, LinkError, objects
from backout.databases.postgres.reversible.names import ident

_SAVEPOINT = "backout_answer"
_ATTNUMS = ("attnum", "old", "new")


def answer_tried(link: Link, operation: Operation) -> Operation:
    """Return an operation, whose answer PostgreSQL takes for a value of the column; no row is read or written.

    Args:
        link: In a transaction, with the session's own `search_path`.
        operation: With `fill`, where there is an answer.

    Raises:
        Veto: PostgreSQL refuses it.
    """
    answer = operation.get("fill")
    if answer is None or accepts_null(answer):
        return operation
    path, column = _place(link, operation)
    link.rows(f"SAVEPOINT {_SAVEPOINT}")
    try:
        link.rows(f"EXPLAIN UPDATE {path} SET {column} = {answer}")
    except LinkError as error:
        called = operation["hidden"]["called"] if "called" not in operation else operation["called"]
        raise unusable(called, answer, str(error)) from error
    finally:
        link.rows(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        link.rows(f"RELEASE SAVEPOINT {_SAVEPOINT}")
    return operation


def _place(link: Link, operation: Operation) -> tuple[str, str]:
    """Return the quoted names of the table, and of the column that gets the value."""
    told = operation if operation.keys() & {*_ATTNUMS} else operation["hidden"]
    attnum = next(told[one] for one in _ATTNUMS if one in told)
    (found,) = objects(
        link,
        "SELECT n.nspname AS schema, c.relname AS name, a.attname AS column FROM pg_catalog.pg_attribute a "
        "JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE a.attrelid = {told['table']} AND a.attnum = {attnum}",
    )
    return ident(found["schema"], found["name"]), ident(found["column"])
