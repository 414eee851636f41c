"""A row as text that means the same in both databases, its digest, and whether it was written after the swap.

The server computes all of it. `record_out` tells NULL (nothing) from an empty text (``""``) and quotes what
could be taken for a border, so that different rows have different texts; columns go in by name, since their
order may differ. Source: PostgreSQL 15 documentation, 8.16.6 "Composite Type Input and Output Syntax".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backout.errors import NotPossible
from backout.message import msg

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from backout.databases.postgres.rows.tables import Pair, TableShape

CANONICAL = {
    "search_path": "pg_catalog",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "quote_all_identifiers": "off",
    "xmloption": "content",
    # A policy that would hide rows is an error then, and not a smaller table.
    "row_security": "off",
    "jit": "off",
}
"""Settings that a text of a value depends on."""

_HALF = 2**31


@dataclass(frozen=True, slots=True)
class Swap:
    """The swap's transaction, as rows of the live database can be held against it.

    Attributes:
        xid: Its 32 low bits, as `xmin` has them.
        window: How many transactions there were since; one of an earlier epoch is older than that.
    """

    xid: int
    window: int


def read_swap(connection: psycopg.Connection[Any], swap_xid: int | None, *, ahead: int = 0) -> Swap | None:
    """Return the swap for `after_swap`; None: it is not known.

    `xmin` keeps its 32 bits when a row is frozen (since PostgreSQL 9.4), so a row of the restore keeps telling
    that it is older than the swap; that holds for two billion transactions.

    Args:
        connection: Of the live database.
        swap_xid: Full id of the swap's transaction.
        ahead: Transactions that may still come while the answer is used.

    Raises:
        NotPossible: There were too many transactions since.

    Source: PostgreSQL 15 documentation, 25.1.5 "Preventing Transaction ID Wraparound Failures".
    """
    if swap_xid is None:
        return None
    row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
    window = (int(row[0]) if row else 0) - swap_xid + ahead
    if not 0 <= window < _HALF:
        raise NotPossible(
            msg(
                "Which rows are newer than the swap cannot be told any more: {count} transactions",
                count=window,
            ),
            state=msg("Nothing was changed; the kept database is as it was."),
            next_command="backout status",
        )
    return Swap(swap_xid % 2**32, window)


def after_swap(swap: Swap | None) -> sql.Composable:
    """Return SQL that is true for a row `t` that was written after the swap."""
    from psycopg import sql

    if swap is None:
        return sql.SQL("false")
    text = "(t.xmin::text::bigint > 2 AND ((t.xmin::text::bigint - {} - 1) & 4294967295) < {})"
    return sql.SQL(text).format(sql.Literal(swap.xid), sql.Literal(swap.window))


def row_digest(pair: Pair) -> sql.Composed:
    """Return SQL for the digest of a row `t`."""
    from psycopg import sql

    values = [
        sql.SQL("sha256({})" if name in pair.digested else "{}").format(sql.Identifier("t", name))
        for name in pair.columns
    ]
    return sql.SQL("sha256(convert_to(ROW({})::text, 'UTF8'))").format(sql.SQL(", ").join(values))


def key_values(pair: Pair, *, utf8: bool) -> list[sql.Composable]:
    """Return SQL for a row's key, one value a column, that sorts as Python sorts it: by its bytes in UTF-8."""
    from psycopg import sql

    text = '{}::text COLLATE "C"' if utf8 else "convert_to({}::text, 'UTF8')"
    return [sql.SQL(text).format(sql.Identifier("t", name)) for name in pair.key]


def keyed_rows(
    shape: TableShape, pair: Pair, also: sql.Composable, *, utf8: bool, where: sql.Composable | None = None
) -> sql.Composed:
    """Return the query for (key …, digest, `also`), in the order of the key."""
    from psycopg import sql

    keys = key_values(pair, utf8=utf8)
    order = sql.SQL(", ").join(sql.SQL(str(n + 1)) for n in range(len(keys)))
    return sql.SQL("SELECT {}, {} FROM {} AS t{} ORDER BY {}").format(
        sql.SQL(", ").join([*keys, row_digest(pair)]), also, shape.source, where or sql.SQL(""), order
    )


def counted_rows(shape: TableShape, pair: Pair, after: sql.Composable) -> sql.Composed:
    """Return the query for (digest, rows, rows written after the swap), in the order of the digest."""
    from psycopg import sql

    text = """SELECT d, count(*) FILTER (WHERE NOT a), count(*) FILTER (WHERE a)
FROM (SELECT {} AS d, {} AS a FROM {} AS t) AS x GROUP BY d ORDER BY d"""
    return sql.SQL(text).format(row_digest(pair), after, shape.source)
