"""Compares a kept database with the live one, table by table, in constant memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from backout.backup import TableDifference
from backout.databases.postgres.rows.digest import Swap, after_swap, counted_rows, keyed_rows, read_swap
from backout.databases.postgres.rows.merge import Change, by_count, by_key
from backout.databases.postgres.rows.sessions import Sides, snapshots, streams
from backout.databases.postgres.rows.tables import Pair, named, pair_up, read_tables
from backout.message import Message, msg

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

    from backout.databases.postgres.connect import Connector
    from backout.databases.restores import Note

LARGE_OBJECTS = "large objects"
# Connection lost, resources gone, server stopped: no table's own matter.
_NOT_THE_TABLES = ("08", "53", "57P", "58")


def differences(
    connector: Connector,
    kept: str,
    *,
    schemas: tuple[str, ...] | None,
    swap_xid: int | None,
    tables: tuple[str, ...],
    examples: int,
    note: Note,
) -> tuple[TableDifference, ...]:
    """Compare every table, or those named; a table that cannot be compared says why.

    Raises:
        UsageError: There is no such database or table.
        NotPossible: The kept database takes no connections, or the swap was too long ago.
    """
    with snapshots(connector, kept) as sides:
        pairs = pair_up(read_tables(sides.kept, schemas), read_tables(sides.live, schemas))
        swap = read_swap(sides.live, swap_xid)
        chosen = list(dict.fromkeys(named(pairs, t).label for t in tables)) if tables else list(pairs)
        found = []
        for number, label in enumerate(chosen, 1):
            note(msg("comparing {table}, {n} of {all}", table=label, n=number, all=len(chosen)))
            found.append(difference(sides, pairs[label], swap, examples))
        if not tables:
            found += _large_objects(sides)
    return tuple(found)


def difference(sides: Sides, pair: Pair, swap: Swap | None, examples: int) -> TableDifference:
    """Compare one table; where that cannot be done, `unknown` says why."""
    import psycopg

    told = _about(pair)
    if told.unknown is not None:
        return told
    try:
        # An error ends the savepoint and not the snapshot: the other tables are still compared.
        with sides.kept.transaction(), sides.live.transaction():
            return told.model_copy(update=_counts(sides, pair, swap, examples))
    except psycopg.Error as error:
        if error.sqlstate is None or error.sqlstate.startswith(_NOT_THE_TABLES):
            raise
        return told.model_copy(update={"unknown": why(error)})


def why(error: psycopg.Error) -> Message:
    """Return what the server says, without the values of rows that its details name."""
    return msg("The server says: {error}", error=error.diag.message_primary or type(error).__name__)


def _about(pair: Pair) -> TableDifference:
    foreign = "f" in {s.kind for s in (pair.kept, pair.live) if s is not None}
    return TableDifference(
        table=pair.label,
        key=pair.key,
        only_kept_columns=pair.only_kept_columns,
        only_live_columns=pair.only_live_columns,
        only_in=None if pair.kept and pair.live else "kept" if pair.kept else "live",
        unknown=msg("It is a foreign table: its rows are on another server.") if foreign else None,
    )


def _counts(sides: Sides, pair: Pair, swap: Swap | None, examples: int) -> dict[str, Any]:
    from psycopg import sql

    never, after = sql.SQL("false"), after_swap(swap)
    if pair.key:
        left = keyed_rows(pair.kept, pair, never, utf8=sides.utf8) if pair.kept else None
        right = keyed_rows(pair.live, pair, after, utf8=sides.utf8) if pair.live else None
    else:
        left = counted_rows(pair.kept, pair, never) if pair.kept else None
        right = counted_rows(pair.live, pair, after) if pair.live else None
    with streams((sides.kept, left), (sides.live, right)) as (kept, live):
        # A row without a key could be shown only whole, and a report is no place for that.
        return (
            _tally(by_key(kept, live), pair, examples) if pair.key else _tally(by_count(kept, live), pair, 0)
        )


def _tally(changes: Iterable[Change], pair: Pair, examples: int) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    shown: dict[str, list[str]] = {}
    for happened, key, times in changes:
        if counts[happened] < examples and happened != "after_swap":
            shown.setdefault(happened, []).append(key_text(pair, key))
        counts[happened] += times
    return {**counts, "examples": {happened: tuple(keys) for happened, keys in shown.items()}}


def key_text(pair: Pair, key: tuple[Any, ...]) -> str:
    """Return a key as people read it: ``id=5, tenant=acme``."""
    texts = [value.decode() if isinstance(value, bytes) else str(value) for value in key]
    return ", ".join(f"{name}={text}" for name, text in zip(pair.key, texts, strict=True))


def _large_objects(sides: Sides) -> list[TableDifference]:
    """Name large objects where there are any: what is in them is not compared."""
    query = "SELECT count(*) FROM pg_largeobject_metadata"
    kept, live = (c.execute(query).fetchone() for c in (sides.kept, sides.live))
    numbers = (kept[0] if kept else 0, live[0] if live else 0)
    if not any(numbers):
        return []
    what = msg("Large objects are not compared: kept {kept}, live {live}.", kept=numbers[0], live=numbers[1])
    return [TableDifference(table=LARGE_OBJECTS, unknown=what)]
