"""Keys that are known here, as a table that the server can join with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import sql

    from backout.databases.postgres.rows.tables import Pair


def listed_keys(pair: Pair, keys: Sequence[tuple[Any, ...]]) -> sql.Composed:
    """Return SQL for a table `q` of these keys (text, or its bytes), with their place from 1 on as `backout_n`."""
    from psycopg import sql

    assert pair.live is not None
    columns = list(zip(*(_texts(key) for key in keys), strict=True))
    given = sql.SQL(", ").join(
        sql.SQL("CAST(u.{} AS {}) AS {}").format(
            sql.Identifier(f"a{n}"), sql.SQL(pair.live.columns[name].type), sql.Identifier(name)
        )
        for n, name in enumerate(pair.key)
    )
    text = "(SELECT {}, n AS backout_n FROM unnest({}) WITH ORDINALITY AS u({}, n) OFFSET 0) AS q"
    return sql.SQL(text).format(
        given,
        sql.SQL(", ").join(sql.SQL("{}::text[]").format(sql.Literal(list(column))) for column in columns),
        sql.SQL(", ").join(sql.Identifier(f"a{n}") for n in range(len(columns))),
    )


def _texts(key: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(value.decode() if isinstance(value, bytes) else value for value in key)
