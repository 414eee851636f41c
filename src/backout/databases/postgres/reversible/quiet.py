"""Writing rows as the engine: no trigger or rule of the user's fires, and row-level security hides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.work import Work

_ENABLE = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


@contextmanager
def quietly(work: Work, table: int, *, called: str) -> Iterator[None]:
    """Switch off, by name, what fires on a table's rows; put each back exactly as it was.

    The caller holds the table's exclusive lock. Not undone after an error: the transaction is.
    """
    path = work.table_path(table, called=called)
    # Deferred events of this transaction would forbid the ALTERs below.
    work.run("SET CONSTRAINTS ALL IMMEDIATE")
    switched = [
        (word, one)
        for word in ("trigger", "rule")
        for one in work.now.of_table(word, table).values()
        if one["enabled"] != "D"
    ]
    forced = work.thing("table", table, called=called)["force_row_security"]
    for word, one in switched:
        work.run(f"ALTER TABLE {path} DISABLE {word.upper()} {ident(one['name'])}")
    if forced:
        work.run(f"ALTER TABLE {path} NO FORCE ROW LEVEL SECURITY")
    # An error where rows would be hidden, never silence.
    work.run("SET LOCAL row_security = off")
    yield
    work.run("SET CONSTRAINTS ALL IMMEDIATE")
    for word, one in switched:
        work.run(f"ALTER TABLE {path} {_ENABLE[one['enabled']]} {word.upper()} {ident(one['name'])}")
    if forced:
        work.run(f"ALTER TABLE {path} FORCE ROW LEVEL SECURITY")
