"""A condition that a person typed: one expression, tried before anything else runs."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from backout.errors import UsageError
from backout.message import msg

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from backout.databases.postgres.rows.tables import Pair

# Data, syntax and names, several statements, a write; and a parameter that nobody gives.
_WRONG = ("21", "22", "25", "2F", "42", "0A", "08P01")


def condition(kept: psycopg.Connection[Any], pairs: list[Pair], where: str | None) -> sql.Composed:
    """Return the condition on a row `t` of the one kept table as `` WHERE …``, or nothing.

    It is an expression and no more: in brackets it has to be right in two places, as a condition and as the
    argument of CAST, and both are prepared statements, which the server refuses to be several. What would close
    the brackets in one of them is wrong in the other. It runs in a read-only transaction.

    Raises:
        UsageError: It is wrong; the server's words are in it. Or there are several tables.
    """
    import psycopg
    from psycopg import sql

    if where is None:
        return sql.SQL("").format()
    if len(pairs) > 1:
        raise _for_one_table_alone(pairs, where)
    (pair,) = pairs
    assert pair.kept is not None
    # A comment in it ends with the line.
    typed = sql.SQL("\n" + where + "\n")
    as_condition = sql.SQL("SELECT 1 FROM {} AS t WHERE ({}) LIMIT 0").format(pair.kept.source, typed)
    as_value = sql.SQL(" WHERE CAST(({}) AS boolean)").format(typed)
    whole = sql.SQL("SELECT 1 FROM {} AS t").format(pair.kept.source) + as_value + sql.SQL(" LIMIT 0")
    try:
        with kept.transaction():
            kept.execute(as_condition, prepare=True)
            kept.execute(whole, prepare=True)
    except psycopg.Error as error:
        if not (error.sqlstate or "").startswith(_WRONG):
            raise
        raise UsageError(
            msg("The condition of --where is wrong: {error}", error=error.diag.message_primary or ""),
            state=msg("Nothing was changed."),
            next_command=f"backout data diff --table '{pair.label}'",
        ) from None
    return as_value


def _for_one_table_alone(pairs: list[Pair], where: str) -> UsageError:
    labels = [pair.label for pair in pairs]
    return UsageError(
        msg(
            "--where is a condition on the columns of one table; {tables} are several.",
            tables=", ".join(labels),
        ),
        state=msg("Nothing was changed."),
        next_command=f"backout data bring {shlex.quote(labels[0])} --where {shlex.quote(where)} --dry-run"
        "   # one table after the other, parents first",
    )
