"""Draws statements by what a database has, and keeps those that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import psycopg

from . import columns, rows, tables, things
from .columns import Drawn
from .look import look
from .pen import Pen

Kind = Callable[[Pen], Drawn]

MAKES: tuple[tuple[Kind, int], ...] = (
    (tables.create, 12), (columns.add, 6), (things.create_type, 6), (things.schema, 2), (tables.add_check, 4), (tables.add_unique, 4),
    (tables.add_foreign_key, 4), (tables.index, 6), (things.sequence, 2), (things.function, 2), (things.trigger, 3), (things.view, 4),
    (things.policy, 2), (things.row_security, 1), (things.grant, 3), (columns.comment, 2), (tables.comment, 1), (tables.add_key, 1),
    (tables.stored, 1), (columns.change_default, 2), (tables.create_as, 1),
)  # fmt: skip
"""What the first schema is made by, and how often."""

KINDS: tuple[tuple[Kind, int], ...] = (
    *((kind, 2) for kind, _ in MAKES),
    (tables.create, 4), (columns.add, 14), (columns.add_filled, 8), (columns.drop, 12), (columns.rename, 7), (columns.swap_names, 1),
    (columns.set_not_null, 6), (columns.drop_not_null, 5), (columns.change_default, 5), (columns.retype, 9),
    (tables.drop, 6), (tables.rename, 4), (tables.move, 2), (tables.replaced, 1), (tables.copy_of, 2),
    (tables.add_foreign_key, 4), (tables.drop_constraint, 8), (tables.rename_constraint, 2), (tables.comment_constraint, 1),
    (tables.defer_constraint, 2), (tables.replace_foreign_key, 2), (tables.index, 5), (tables.drop_index, 5), (tables.rename_index, 2),
    (things.rename_schema, 1), (things.drop_type, 2), (things.rename_type, 2), (things.add_label, 3), (things.rename_label, 2),
    (things.enum_made_anew, 3), (things.drop_sequence, 2), (things.rename_sequence, 2), (things.replace_function, 2), (things.rename_function, 1),
    (things.drop_function, 2), (things.change_trigger, 4), (things.change_view, 4), (things.change_policy, 3), (things.grant, 3),
    (rows.seed, 8), (rows.overwrite, 10), (rows.clean, 5), (rows.truncate, 1), (rows.copy, 5),
)  # fmt: skip
"""What migrations do, and how often."""

REFUSED_TODAY: tuple[tuple[Kind, int], ...] = (
    (columns.rewritten, 1),
    (columns.split, 1),
    (tables.rebuilt, 1),
)

_TRIES = 12


def statements(
    connection: psycopg.Connection[Any],
    random: Random,
    kinds: Sequence[tuple[Kind, int]],
    count: int,
    start: int,
) -> list[str]:
    """Return statements that the database has taken, in the transaction of the session.

    Args:
        connection: In a transaction.
        random: Where chance comes from.
        kinds: What to draw, and how often.
        count: How many kinds; what is refused again and again is left out.
        start: The first number of new values.
    """
    found: list[str] = []
    pen = Pen(look(connection), random, start)
    drawn, weights = [kind for kind, _ in kinds], [weight for _, weight in kinds]
    for _ in range(count):
        for _ in range(_TRIES):
            told = random.choices(drawn, weights)[0](pen)
            if told and taken(connection, told):
                found += told
                pen.look = look(connection)
                break
    return found


def taken(connection: psycopg.Connection[Any], told: Sequence[str]) -> bool:
    """Run statements, all or none of them; tell whether the database has taken them."""
    connection.execute("SAVEPOINT drawn")
    try:
        for one in told:
            connection.execute(one.encode())
    except psycopg.Error:
        connection.execute("ROLLBACK TO SAVEPOINT drawn")
        return False
    finally:
        connection.execute("RELEASE SAVEPOINT drawn")
    return True


def ran(connection: psycopg.Connection[Any], told: Sequence[str]) -> list[str]:
    """Run statements in one transaction; return those that the database has taken, if it takes them all in the end."""
    connection.execute("BEGIN")
    found = [one for one in told if taken(connection, [one])]
    return found if _committed(connection) else []


def _committed(connection: psycopg.Connection[Any]) -> bool:
    try:
        connection.execute("COMMIT")
    except psycopg.Error:
        return False
    return True


def drawn(
    connection: psycopg.Connection[Any],
    random: Random,
    kinds: Sequence[tuple[Kind, int]],
    count: int,
    start: int,
) -> list[str]:
    """Draw one transaction's statements; nothing of it stays."""
    connection.execute("BEGIN")
    found = statements(connection, random, kinds, count, start)
    connection.execute("ROLLBACK")
    return found
