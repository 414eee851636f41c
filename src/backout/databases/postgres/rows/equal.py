"""Makes chosen tables of the live database equal to those of one that stands beside it, in one transaction.

Rows are deleted, updated and inserted by key; nothing is truncated, so that readers go on and other tables keep what
they refer to. Before it is committed every table is compared once more, inside the transaction. Killed at any moment,
nothing was changed or all of it; called again, it finds everything equal and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backout.backup import TableDifference
from backout.databases.postgres.rows.bring import BY_INDEX
from backout.databases.postgres.rows.compare import difference, key_text
from backout.databases.postgres.rows.digest import CANONICAL, keyed_rows
from backout.databases.postgres.rows.equaliser import Equaliser
from backout.databases.postgres.rows.fit import fit
from backout.databases.postgres.rows.sequences import advance, column_sequences
from backout.databases.postgres.rows.sessions import (
    ROWS_AT_ONCE,
    Sides,
    patience,
    set_local,
    snapshots,
    streams,
)
from backout.databases.postgres.rows.tables import Pair, named, pair_up, read_tables
from backout.databases.postgres.rows.writer import Row
from backout.errors import LossAboveCeiling, NotPossible
from backout.faults import fault_point
from backout.message import msg

if TYPE_CHECKING:
    import psycopg

    from backout.databases.postgres.connect import Connector
    from backout.databases.restores import Note

_DEADLINE_S = 86_400.0
_EXAMPLES = 3
_NAMED_AT_MOST = 5
_ANY_PLAN = dict.fromkeys(BY_INDEX, "on")


def compare_tables(
    connector: Connector, beside: str, tables: tuple[str, ...], *, schemas: tuple[str, ...] | None, note: Note
) -> tuple[TableDifference, ...]:
    """Compare these tables; changes nothing. Raises `NotPossible` where they cannot be made equal."""
    with snapshots(connector, beside) as sides:
        return _compare(sides, fit(sides.kept, sides.live, tables, schemas), note)


def restore_tables(
    connector: Connector,
    beside: str,
    tables: tuple[str, ...],
    *,
    schemas: tuple[str, ...] | None,
    max_deleted: int | None,
    note: Note,
) -> tuple[TableDifference, ...]:
    """Make the live tables equal to those of `beside`; return what differed. Idempotent, all or nothing.

    Raises:
        LossAboveCeiling: More rows would be removed than was approved.
        NotPossible: They cannot be made equal, each reason with a row's key.
    """
    with connector.session(_DEADLINE_S) as live:
        with live.transaction():
            set_local(live, CANONICAL | {k: v for k, v in patience().items() if k != "cursor_tuple_fraction"})
            _keep_writers_away(live, tables, schemas)
            # Begun only now: it sees all that was committed, and nothing more can come.
            with snapshots(connector, beside) as sides:
                pairs = fit(sides.kept, sides.live, tables, schemas)
                told = _compare(sides, pairs, note)
                _refuse_losses(told, max_deleted)
                if any(_differs(d) for d in told):
                    _make_equal(sides, live, pairs, note)
                    _prove(Sides(kept=sides.kept, live=live, utf8=sides.utf8), pairs, note)
                _let_sequences_follow(sides, live, pairs)
            fault_point("tables.restore.commit.before")
        fault_point("tables.restore.commit.after")
    return told


def _keep_writers_away(
    live: psycopg.Connection[Any], tables: tuple[str, ...], schemas: tuple[str, ...] | None
) -> None:
    """Lock the tables against other writers, readers go on, in the order of their names: nobody waits in a circle."""
    from psycopg import sql

    pairs = pair_up({}, read_tables(live, schemas))
    for label in sorted({named(pairs, table).label for table in tables}):
        shape = pairs[label].live
        assert shape is not None
        table = sql.Identifier(shape.schema, shape.name)
        live.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(table))


def _compare(sides: Sides, pairs: list[Pair], note: Note) -> tuple[TableDifference, ...]:
    found = []
    for pair in pairs:
        note(msg("comparing {table}", table=pair.label))
        told = difference(sides, pair, None, _EXAMPLES)
        found.append(told.model_copy(update={"rows": _rows(sides.kept, pair)}))
    unknown = [msg("{table}: {why}", table=d.table, why=str(d.unknown)) for d in found if d.unknown]
    if unknown:
        raise _not_equal("; ".join(str(m) for m in unknown))
    return tuple(found)


def _rows(restored: psycopg.Connection[Any], pair: Pair) -> int:
    from psycopg import sql

    assert pair.kept is not None
    row = restored.execute(sql.SQL("SELECT count(*) FROM {} AS t").format(pair.kept.source)).fetchone()
    return int(row[0]) if row else 0


def _differs(found: TableDifference) -> bool:
    return bool(found.inserted or found.updated or found.deleted)


def _refuse_losses(told: tuple[TableDifference, ...], max_deleted: int | None) -> None:
    rows = sum(d.deleted for d in told)
    if max_deleted is not None and rows > max_deleted:
        raise LossAboveCeiling(
            msg("{rows} rows would be removed, and {ceiling} were approved.", rows=rows, ceiling=max_deleted),
            state=msg("Nothing was changed."),
            next_command=f"backout abort   # then: backout plan … --max-loss {rows}",
        )


def _make_equal(sides: Sides, live: psycopg.Connection[Any], pairs: list[Pair], note: Note) -> None:
    set_local(live, BY_INDEX)
    # What may be checked late is: rows that refer to each other can come one after the other.
    live.execute("SET CONSTRAINTS ALL DEFERRED")
    writers = [Equaliser(sides.kept, live, pair) for pair in pairs]
    for writer in writers:
        writer.begin()
    for writer in reversed(writers):
        note(msg("removing rows of {table}", table=writer.pair.label))
        for gone in _batches(sides, writer.pair, ("deleted",)):
            writer.delete([key for _, key, _ in gone])
    for writer in writers:
        note(msg("writing rows of {table}", table=writer.pair.label))
        for batch in _batches(sides, writer.pair, ("inserted", "updated")):
            for what, write in (("inserted", writer.insert), ("updated", writer.update)):
                rows = [row for happened, _, row in batch if happened == what and row is not None]
                if rows:
                    write(rows)
    _write_what_waited(writers)
    live.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for writer in writers:
        writer.finish(advance_sequences=True)
    set_local(live, _ANY_PLAN)


def _write_what_waited(writers: list[Equaliser]) -> None:
    """Try again what another row stood against, as long as that gets anywhere."""
    waiting = sum(len(writer.waiting) for writer in writers)
    while waiting:
        for writer in reversed(writers):
            writer.again("delete")
        for writer in writers:
            writer.again("write")
        left = sum(len(writer.waiting) for writer in writers)
        if left == waiting:
            break
        waiting = left
    reasons = [reason for writer in writers for reason in writer.reasons()]
    if reasons:
        more = f"; and {len(reasons) - _NAMED_AT_MOST} more" if len(reasons) > _NAMED_AT_MOST else ""
        raise _not_equal("; ".join(reasons[:_NAMED_AT_MOST]) + more)


Change = tuple[str, tuple[Any, ...], Row | None]


def _batches(sides: Sides, pair: Pair, wanted: tuple[str, ...]) -> Iterator[list[Change]]:
    """Yield what differs, as (what, key, row of the restored table); a few thousand in memory at a time."""
    from psycopg import sql

    assert pair.kept is not None and pair.live is not None
    place = sql.SQL("t.tableoid::bigint, t.ctid::text")
    left = keyed_rows(pair.kept, pair, place, utf8=sides.utf8)
    right = keyed_rows(pair.live, pair, sql.SQL("false"), utf8=sides.utf8)
    with streams((sides.kept, left), (sides.live, right)) as (restored, live):
        batch: list[Change] = []
        for change in changes(restored, live, pair):
            if change[0] in wanted:
                batch.append(change)
            if len(batch) >= ROWS_AT_ONCE:
                yield batch
                batch = []
        if batch:
            yield batch


def changes(
    restored: Iterator[tuple[Any, ...]], live: Iterator[tuple[Any, ...]], pair: Pair
) -> Iterator[Change]:
    """Yield what makes the live rows equal, from two streams sorted by key: (key …, digest, place) and (key …, digest)."""
    width = len(pair.key)
    left, right = next(restored, None), next(live, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[:width] < right[:width]):
            assert left is not None
            yield "inserted", left[:width], _row(pair, left)
            left = next(restored, None)
        elif left is None or right[:width] < left[:width]:
            yield "deleted", right[:width], None
            right = next(live, None)
        else:
            if left[width] != right[width]:
                yield "updated", left[:width], _row(pair, left)
            left, right = next(restored, None), next(live, None)


def _row(pair: Pair, values: tuple[Any, ...]) -> Row:
    return Row(key_text(pair, values[: len(pair.key)]), values[-2], values[-1])


def _prove(sides: Sides, pairs: list[Pair], note: Note) -> None:
    """Compare once more what is about to be committed."""
    left = [d for d in _compare(sides, pairs, note) if _differs(d)]
    if left:
        tables = ", ".join(f"{d.table} ({d.inserted + d.updated + d.deleted} rows)" for d in left)
        raise _not_equal(f"something else changed what was written, or columns cannot be set: {tables}")


def _let_sequences_follow(sides: Sides, live: psycopg.Connection[Any], pairs: list[Pair]) -> None:
    """No number that either database gave out is given out again; a sequence is never set back."""
    from psycopg import sql

    for pair in pairs:
        assert pair.live is not None
        for sequence in column_sequences(live, pair.live.oid):
            name = sql.Identifier(sequence.schema, sequence.name)
            there = sides.kept.execute(
                "SELECT to_regclass(%s) IS NOT NULL", (name.as_string(sides.kept),)
            ).fetchone()
            if there is None or not there[0]:
                continue
            row = sides.kept.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(name)).fetchone()
            if row is not None and row[1]:
                advance(live, sequence, int(row[0]))


def _not_equal(why: str) -> NotPossible:
    return NotPossible(
        msg("The tables cannot be made equal to the backup: {why}", why=why),
        state=msg("Nothing was changed: it was one transaction."),
        next_command="backout abort   # then name other --tables, or take the whole database back",
    )
