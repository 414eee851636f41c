"""The statements that write rows, many at a time, from values as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from backout.databases.postgres.rows.tables import Pair

# No name can have it.
_VALUE = "\0"


def written_columns(pair: Pair) -> list[str]:
    """Return the columns that rows are made of: in both, and not generated in the live one."""
    assert pair.live is not None
    return [name for name in pair.columns if not pair.live.columns[name].generated]


def insertion(live: psycopg.Connection[Any], pair: Pair) -> sql.SQL:
    """Return the statement that inserts rows as they are; without columns it takes how many."""
    from psycopg import sql

    assert pair.live is not None
    columns, name = written_columns(pair), sql.Identifier(pair.live.schema, pair.live.name)
    if not columns:
        text = sql.SQL("INSERT INTO {} SELECT FROM generate_series(1, {})")
        return _filled(live, text.format(name, sql.SQL(_VALUE)))
    text = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE {}")
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return _filled(live, text.format(name, names, _given(pair, columns)))


def overwriting(live: psycopg.Connection[Any], pair: Pair) -> sql.SQL | None:
    """Return the statement that makes live rows equal by key; None: there is nothing that may be set."""
    from psycopg import sql

    assert pair.live is not None
    shapes, written = pair.live.columns, written_columns(pair)
    columns = [n for n in written if n not in pair.key and not shapes[n].always_identity]
    if not columns:
        return None
    sets = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(n), sql.Identifier("v", n)) for n in columns
    )
    text = sql.SQL("UPDATE {} AS t SET {} FROM ({}) AS v WHERE {}")
    return _filled(live, text.format(pair.live.source, sets, _given(pair, written), same_key(pair, "v")))


def _given(pair: Pair, columns: list[str]) -> sql.Composed:
    """Return the query that gives rows, from a list of texts for each column."""
    from psycopg import sql

    assert pair.live is not None
    # As text first: then it is the type's own input function that reads it.
    values = [
        sql.SQL("CAST({} AS {}) AS {}").format(
            sql.Identifier("g", str(n)), sql.SQL(pair.live.columns[name].type), sql.Identifier(name)
        )
        for n, name in enumerate(columns)
    ]
    return sql.SQL("SELECT {} FROM unnest({}) AS g({})").format(
        sql.SQL(", ").join(values),
        sql.SQL(", ").join([sql.SQL(_VALUE + "::text[]")] * len(columns)),
        sql.SQL(", ").join(sql.Identifier(str(n)) for n in range(len(columns))),
    )


def _filled(live: psycopg.Connection[Any], text: sql.Composed) -> sql.SQL:
    """Return a statement with its placeholders; a per cent sign in a name is none."""
    from psycopg import sql

    return sql.SQL(text.as_string(live).replace("%", "%%").replace(_VALUE, "%s"))


def same_key(pair: Pair, other: str) -> sql.Composed:
    """Return SQL that joins a row `t` of the live table by its key, with the key's own idea of equality."""
    from psycopg import sql

    assert pair.live is not None
    return sql.SQL(" AND ").join(
        sql.SQL("{} OPERATOR({}.=) {}").format(
            sql.Identifier("t", name),
            sql.Identifier(pair.live.columns[name].equals),
            sql.Identifier(other, name),
        )
        for name in pair.key
    )
