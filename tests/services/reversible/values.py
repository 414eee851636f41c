"""The values of a database that its application can see, to be compared before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from backout.databases.postgres.reversible.fingerprint import printed_alike
from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import PREFIX, ident, is_hidden, literal

Rows = dict[str, list[str]]

# Partitions hold the rows of partitioned tables.
_TABLES = """
SELECT n.nspname AS schema, c.relname AS name,
       (SELECT json_agg(a.attname ORDER BY a.attname) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT json_agg(a.attname ORDER BY array_position(k.conkey, a.attnum)) FROM pg_constraint k
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (k.conkey)
        WHERE k.conrelid = c.oid AND k.contype = 'p') AS key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY n.nspname, c.relname"""


def read_rows(link: Link) -> Rows:
    """Return every visible table's rows, sorted by its key, each with its visible columns by name.

    Args:
        link: In a transaction: REPEATABLE READ, if the tables are to be of one moment. Of a role that sees all rows:
            row level security that would leave some out is an error.
    """
    found: Rows = {}
    with printed_alike(link):
        link.rows("SET LOCAL row_security = off")
        for table in objects(link, _TABLES):
            schema, name = table["schema"], table["name"]
            if is_hidden(schema) or name.startswith(PREFIX):
                continue
            found[f"{schema}.{name}"] = _rows(
                link, ident(schema, name), table["columns"] or [], table["key"] or []
            )
    return found


def _rows(link: Link, table: str, columns: Sequence[str], key: Sequence[str]) -> list[str]:
    shown = [column for column in columns if not column.startswith(PREFIX)]
    texts = [f"{literal(c + '=')} || coalesce(quote_literal(t.{ident(c)}::text), 'NULL')" for c in shown]
    text = " || ', ' || ".join(texts) or "''"
    order = ", ".join([f"t.{ident(column)}" for column in key if column in shown] + [f'({text}) COLLATE "C"'])
    # The line is made outside of the table's columns, which may be called anything.
    query = f"SELECT {text} AS line FROM ONLY {table} t"
    rows = link.rows(f"{query} ORDER BY {order}")
    return [row["line"] or "" for row in rows]


def changed(before: Rows, after: Rows) -> list[str]:
    """Return what is not as it was, one line for each table or row that came or went; a changed row does both."""
    lines: list[str] = []
    for table in sorted(before.keys() | after.keys()):
        if table not in after or table not in before:
            lines.append(f"{table}: {'gone' if table in before else 'new'}")
        was, now = Counter(before.get(table, [])), Counter(after.get(table, []))
        lines += [f"{table}: gone: {row}" for row in sorted((was - now).elements())]
        lines += [f"{table}: new: {row}" for row in sorted((now - was).elements())]
    return lines
