"""What a migration destroys, told by a plain copy of the database before and after it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.corpus.history import HISTORY_TABLES

from backout.databases.postgres.generated.look import Table
from backout.databases.postgres.generated.seen import Seen


def is_history(path: str) -> bool:
    """Tell whether a table is a migration tool's own."""
    return path.rpartition(".")[2].strip('"') in HISTORY_TABLES


def destroys(before: Seen, after: Seen) -> list[str]:
    """Return the kinds of loss, by PostgreSQL's own numbers: a rename destroys nothing."""
    return sorted(set(_kinds(before, after)))


def _kinds(before: Seen, after: Seen) -> Iterator[str]:
    for table in before.look.tables.values():
        if is_history(table.path):
            continue
        new = after.look.tables.get(table.oid)
        if new is None:
            yield "drop table"
            continue
        numbers = {c.number: c for c in new.columns}
        both = [(c, numbers[c.number]) for c in table.columns if c.number in numbers]
        stayed = [(c.name, d.name) for c, d in both if (c.type, c.modifier) == (d.type, d.modifier)]
        if len(both) < len(table.columns):
            yield "drop column"
        if len(stayed) < len(both):
            yield "type"
        yield from _of_rows(before, after, table, new, stayed)


def _of_rows(
    before: Seen, after: Seen, table: Table, new: Table, stayed: list[tuple[str, str]]
) -> Iterator[str]:
    had = Counter(tuple(row[name] for name, _ in stayed) for row in before.rows[table.path])
    has = Counter(tuple(row[name] for _, name in stayed) for row in after.rows[new.path])
    gone = sum((had - has).values())
    if gone and len(after.rows[new.path]) < len(before.rows[table.path]):
        yield "delete"
    elif gone:
        yield "update"
