"""Brings rows that only the kept database has into the live one: any tables, one transaction.

Parents come before what refers to them. A row whose parent is not there yet waits, and is tried again as long as that
gets anywhere; what refers to each other in a circle comes together, where its constraints can be checked late.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from backout.backup import Brought
from backout.databases.postgres.rows.compare import key_text
from backout.databases.postgres.rows.digest import (
    CANONICAL,
    Swap,
    after_swap,
    counted_rows,
    keyed_rows,
    read_swap,
    row_digest,
)
from backout.databases.postgres.rows.guards import refuse_held, refuse_rules
from backout.databases.postgres.rows.keys import listed_keys
from backout.databases.postgres.rows.order import parents_first
from backout.databases.postgres.rows.sessions import (
    ROWS_AT_ONCE,
    Sides,
    patience,
    set_local,
    snapshots,
    streams,
)
from backout.databases.postgres.rows.statements import same_key
from backout.databases.postgres.rows.tables import Pair, named, pair_up, read_tables
from backout.databases.postgres.rows.where import condition
from backout.databases.postgres.rows.writer import Row, Writer, refusal_of
from backout.errors import NotPossible, TargetUnreachable
from backout.faults import fault_point
from backout.message import msg

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from backout.databases.postgres.connect import Connector
    from backout.databases.restores import Note

_DEADLINE_S = 86_400.0
# Transactions that other clients may begin while rows are brought.
_AHEAD = 50_000_000
# A few thousand keys are looked up in an index, whatever the statistics of a fresh restore say.
BY_INDEX = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}


def bring(
    connector: Connector,
    kept: str,
    tables: tuple[str, ...],
    *,
    schemas: tuple[str, ...] | None,
    swap_xid: int | None,
    where: str | None,
    take_updated: bool,
    dry_run: bool,
    note: Note,
) -> tuple[Brought, ...]:
    """Bring the rows of these tables; what the live database does not take is a conflict, with its reason.

    Idempotent: a row that is there already is counted as equal. Killed at any moment, nothing was brought.

    Returns:
        What was done in each table, in the order in which they were written.

    Raises:
        UsageError: There is no such database or table, or the condition is wrong.
        NotPossible: A hold, a rule, a trigger that is not ours, a table that only one of them has.
    """
    refuse_held(connector)
    with snapshots(connector, kept) as sides:
        pairs = _chosen(sides, tables, schemas)
        limit = condition(sides.kept, pairs, where)
        with _one_transaction(pairs), connector.session(_DEADLINE_S) as live:
            with live.transaction(force_rollback=dry_run):
                _prepare(live)
                for pair in pairs:
                    refuse_rules(live, pair)
                swap = read_swap(live, swap_xid, ahead=_AHEAD)
                writers = [Writer(sides.kept, live, pair) for pair in pairs]
                equal = [
                    _by_key(sides, writer, limit, swap, take_updated=take_updated, note=note)
                    if writer.pair.key
                    else _by_count(sides, writer, limit, note)
                    for writer in writers
                ]
                _bring_what_waits(live, writers)
                for writer in writers:
                    writer.finish(advance_sequences=not dry_run)
                fault_point("data.bring.commit.before")
            fault_point("data.bring.commit.after")
    return tuple(
        Brought(
            table=writer.pair.label,
            dry_run=dry_run,
            inserted=writer.inserted,
            updated=writer.updated,
            equal=there,
            conflicts=tuple(writer.conflicts),
        )
        for writer, there in zip(writers, equal, strict=True)
    )


def _chosen(sides: Sides, tables: tuple[str, ...], schemas: tuple[str, ...] | None) -> list[Pair]:
    """Return these tables, parents first, each once."""
    pairs = pair_up(read_tables(sides.kept, schemas), read_tables(sides.live, schemas))
    found = {pair.label: pair for pair in (named(pairs, table) for table in tables)}
    for pair in found.values():
        _refuse_one_sided(sides, pair)
    return parents_first(sides.live, list(found.values()))


def _bring_what_waits(live: psycopg.Connection[Any], writers: list[Writer]) -> None:
    """Insert rows whose parent came after them, or comes with them."""
    import psycopg

    came = sum(writer.inserted for writer in writers)
    while came and any(writer.waits for writer in writers):
        came = sum(writer.retry() for writer in writers)
    waiting = [writer for writer in writers if writer.waits]
    if not waiting:
        return
    try:
        with live.transaction() as attempt:
            live.execute("SET CONSTRAINTS ALL DEFERRED")
            if not all(writer.together() for writer in waiting):
                raise psycopg.Rollback(attempt)
            live.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for writer in waiting:
                writer.came()
    except psycopg.Error as error:
        if refusal_of(error) is None:
            raise


@contextmanager
def _one_transaction(pairs: list[Pair]) -> Iterator[None]:
    """Say of a database that went away, or of a lock, what became of all the rows."""
    try:
        yield
    except TargetUnreachable as error:
        raise TargetUnreachable(
            msg(
                "Bringing {tables} stopped: {why}",
                tables=", ".join(p.label for p in pairs),
                why=str(error.what),
            ),
            state=msg(
                "Nothing was brought: it is one transaction (lost in the moment of its commit, all of it was)."
            ),
            next_command=error.next_command
            if "   # " in error.next_command
            else f"{error.next_command}   # then the same command again: what came is not brought twice",
        ) from error


def _prepare(live: psycopg.Connection[Any]) -> None:
    waits = {k: v for k, v in patience().items() if k.startswith("idle_")}
    set_local(live, CANONICAL | waits | BY_INDEX)
    # What is checked at the end of the transaction otherwise could not be told from the other rows any more.
    live.execute("SET CONSTRAINTS ALL IMMEDIATE")


def _refuse_one_sided(sides: Sides, pair: Pair) -> None:
    shapes, unchanged = (pair.kept, pair.live), msg("Nothing was changed.")
    if "f" in {shape.kind for shape in shapes if shape is not None}:
        raise NotPossible(
            msg("{table} is a foreign table: its rows are on another server.", table=pair.label),
            state=unchanged,
            next_command="backout data diff",
        )
    if pair.kept is None:
        raise NotPossible(
            msg("{table} is not in the kept database.", table=pair.label),
            state=unchanged,
            next_command="backout data diff",
        )
    if pair.live is None:
        kept, live = (shlex.quote(connection.info.dbname) for connection in (sides.kept, sides.live))
        raise NotPossible(
            msg("{table} is not in the live database.", table=pair.label),
            state=unchanged,
            next_command=f"pg_dump -t {shlex.quote(pair.label)} {kept} | psql {live}   # all of it, as its owner",
        )


def _by_key(
    sides: Sides, writer: Writer, limit: sql.Composed, swap: Swap | None, *, take_updated: bool, note: Note
) -> int:
    """Look every kept row up in the live table, and write what is to be written; return the equal rows."""
    from psycopg import sql

    pair, equal, seen = writer.pair, 0, 0
    assert pair.kept is not None
    place = sql.SQL("t.tableoid::bigint, t.ctid::text")
    query = keyed_rows(pair.kept, pair, place, utf8=sides.utf8, where=limit)
    with streams((sides.kept, query)) as (rows,):
        while batch := list(islice(rows, ROWS_AT_ONCE)):
            found = _look_up(writer.live, pair, swap, batch)
            missing = [_row(pair, row, seen + n) for n, row in enumerate(batch) if n not in found]
            other = [n for n, row in enumerate(batch) if n in found and found[n][0] != row[-3]]
            equal += len(batch) - len(missing) - len(other)
            if missing:
                writer.insert(missing)
            if other:
                equal += _differing(writer, [batch[n] for n in other], swap, take_updated=take_updated)
            seen += len(batch)
            note(msg("bringing {table}: {rows} rows looked at", table=pair.label, rows=seen))
    return equal


def _differing(writer: Writer, batch: list[tuple[Any, ...]], swap: Swap | None, *, take_updated: bool) -> int:
    """Overwrite rows that differ, or name them; return how many became equal meanwhile."""
    pair, equal, taken = writer.pair, 0, []
    # Locked before they are looked at again: nobody changes them between the look and the write.
    found = _look_up(writer.live, pair, swap, batch, lock=take_updated)
    for n, values in enumerate(batch):
        row = _row(pair, values)
        digest, newer = found.get(n, (None, False))
        if digest == values[-3]:
            equal += 1
        elif digest is None:
            writer.conflict(row, "the live one was deleted meanwhile")
        elif newer:
            writer.conflict(row, "the live one was written after the swap")
        elif take_updated:
            taken.append(row)
        else:
            writer.conflict(row, "the live database has another row of that key")
    if taken:
        writer.update(taken)
    return equal


def _look_up(
    live: psycopg.Connection[Any],
    pair: Pair,
    swap: Swap | None,
    batch: list[tuple[Any, ...]],
    *,
    lock: bool = False,
) -> dict[int, tuple[bytes, bool]]:
    """Return digest and "written after the swap" of the live rows of these keys, by their place in the batch."""
    from psycopg import sql

    assert pair.live is not None
    source = sql.SQL("{} JOIN {} AS t ON {}").format(
        listed_keys(pair, [row[: len(pair.key)] for row in batch]), pair.live.source, same_key(pair, "q")
    )
    if lock:
        live.execute(sql.SQL("SELECT 1 FROM {} FOR UPDATE OF t").format(source))
    query = sql.SQL("SELECT q.backout_n, {}, {} FROM {}").format(row_digest(pair), after_swap(swap), source)
    return {int(n) - 1: (digest, newer) for n, digest, newer in live.execute(query)}


def _by_count(sides: Sides, writer: Writer, limit: sql.Composed, note: Note) -> int:
    """Bring as many of equal rows as the live table has fewer; return the rows that it has."""
    from psycopg import sql

    pair, equal, seen = writer.pair, 0, 0
    assert pair.kept is not None and pair.live is not None
    query = sql.SQL("SELECT {}, t.tableoid::bigint, t.ctid::text FROM {} AS t{} ORDER BY 1").format(
        row_digest(pair), pair.kept.source, limit
    )
    never = counted_rows(pair.live, pair, sql.SQL("false"))
    with streams((sides.kept, query), (sides.live, never)) as (kept, live):
        rows = _surplus(kept, live)
        while batch := list(islice(rows, ROWS_AT_ONCE)):
            missing = [_row(pair, row) for row, there in batch if not there]
            equal += len(batch) - len(missing)
            if missing:
                writer.insert(missing)
            seen += len(batch)
            note(msg("bringing {table}: {rows} rows looked at", table=pair.label, rows=seen))
    return equal


def _surplus(
    kept: Iterator[tuple[Any, ...]], live: Iterator[tuple[Any, ...]]
) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """Yield each kept row and whether the live table has one for it; both sorted by digest."""
    counted = next(live, None)
    digest, left = None, 0
    for row in kept:
        if row[0] != digest:
            digest = row[0]
            while counted is not None and counted[0] < digest:
                counted = next(live, None)
            left = counted[1] if counted is not None and counted[0] == digest else 0
        yield row, left > 0
        left -= 1


def _row(pair: Pair, values: tuple[Any, ...], number: int = 0) -> Row:
    text = key_text(pair, values[: len(pair.key)]) if pair.key else f"row at {values[-1]}"
    return Row(text, values[-2], values[-1], number)
