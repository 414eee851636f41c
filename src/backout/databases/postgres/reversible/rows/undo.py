"""Takes back what migrations did to rows, and does it again: in the caller's transaction, each row written once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import SCHEMA
from backout.databases.postgres.reversible.rows import kept
from backout.databases.postgres.reversible.rows.compare import compare, unwritten
from backout.databases.postgres.reversible.rows.entries import Marks, take_apart
from backout.databases.postgres.reversible.rows.fold import fold_entries
from backout.databases.postgres.reversible.rows.owned import keep_owned, leave_owned
from backout.databases.postgres.reversible.rows.quiet import exactly, quietly
from backout.databases.postgres.reversible.rows.refer import block, referring
from backout.databases.postgres.reversible.rows.replay import replay
from backout.databases.postgres.reversible.rows.report import RowsReport
from backout.databases.postgres.reversible.rows.store import EVERYTHING, TURN, Span
from backout.databases.postgres.reversible.rows.targets import Besides, Target, relations, targets
from backout.databases.postgres.reversible.rows.truncate import restore_sequences
from backout.databases.postgres.reversible.rows.write import Writer

_PARTS = ("entries", "groups", "odd", "fold", "now")


def undo(
    link: Link,
    migrations: Sequence[int],
    *,
    leave: Mapping[int, Collection[int]] | None = None,
    unseen: Mapping[int, Collection[int]] | None = None,
    quiet: Mapping[int, Collection[int]] | None = None,
    marks: Mapping[int, Marks] | None = None,
    span: Span = EVERYTHING,
) -> RowsReport:
    """Set the rows back that migrations have changed, put back what they deleted and delete what they made.

    What somebody has written since stays, and is reported and noted in `backout.row_kept`.

    The caller has begun a transaction, has the exclusive locks of `targets.to_lock`, and has given columns and tables their
    old names, types and places. Constraints are immediate afterwards, to the end of the transaction; no DDL of the caller
    fails for pending events. Statements that rows then violate are the caller's: NOT VALID constraints look at what is written.

    Args:
        link: Session, acting as the owner of the tables.
        migrations: Numbers.
        leave: By table (oid), columns (attnum) that are not written: those that the migrations added and the caller hides.
        unseen: By table, more of them: those that nobody but the engine writes.
        quiet: By table, columns that are written where they have what they had, and of which nothing is told.
        marks: By table, what hidden columns have had in rows that nobody gave a value.
        span: Of what was logged; all later ones were taken back before (`redo`: all earlier ones were done).

    Returns:
        What was done, and what stays.

    Raises:
        LinkError: PostgreSQL refused something else than a row; the transaction has to be rolled back.
        Unreadable: Columns were dropped while rows were logged; nothing was changed.
    """
    return _turn(link, migrations, (leave or {}, unseen or {}, quiet or {}), marks or {}, span, back=True)


def redo(
    link: Link,
    migrations: Sequence[int],
    *,
    leave: Mapping[int, Collection[int]] | None = None,
    unseen: Mapping[int, Collection[int]] | None = None,
    quiet: Mapping[int, Collection[int]] | None = None,
    marks: Mapping[int, Marks] | None = None,
    span: Span = EVERYTHING,
) -> RowsReport:
    """Do again to rows what migrations did that were taken back; arguments, result and errors as of `undo`."""
    return _turn(link, migrations, (leave or {}, unseen or {}, quiet or {}), marks or {}, span, back=False)


def _turn(
    link: Link,
    migrations: Sequence[int],
    besides: Besides,
    marks: Mapping[int, Marks],
    span: Span,
    *,
    back: bool,
) -> RowsReport:
    with exactly(link):
        logged = relations(link, migrations, span)
        chosen = targets(link, logged, migrations, besides)
        written = sorted({t.oid for t in chosen} | set(logged))
        with quietly(link, written, referring(link, written)):
            report = _turn_quietly(link, chosen, migrations, marks, span, back=back)
        if back and span.since is None:
            restore_sequences(link, migrations)
    return report


def _turn_quietly(
    link: Link,
    chosen: list[Target],
    migrations: Sequence[int],
    marks: Mapping[int, Marks],
    span: Span,
    *,
    back: bool,
) -> RowsReport:
    for target in chosen:
        take_apart(link, target, migrations, marks.get(target.oid, {}), back=back, span=span)
        fold_entries(link, target)
        compare(link, target, migrations, back=back, goes_on=span.goes_on)
    writers = [Writer(link, target) for target in chosen]
    since = kept.start(link)
    if not span.goes_on:
        kept.forget_absent(link, migrations, back=back)
    kept.keep_missing(link, migrations, chosen, back=back, span=span)
    for writer in writers:
        kept.leave_absent(link, writer.target, migrations, back=back)
        leave_owned(link, writer.target, migrations, back=back)
        writer.look()
        kept.keep_removed(link, writer.target, migrations, back=back)
        if not back:
            kept.bring_removed(link, writer.target, migrations)
    _write(link, writers)
    for writer in writers:
        kept.keep_absent(link, writer, migrations, back=back)
        keep_owned(link, writer, migrations, back=back)
        kept.keep(link, writer, migrations, back=back)
    report = kept.report(link, writers, since)
    _note(link, writers, migrations, back=back, goes_on=span.goes_on)
    _clean(link, chosen)
    return report


def _write(link: Link, writers: list[Writer]) -> None:
    """Write in rounds until nothing more can be written: what is in the way of a row may be gone after the next one."""
    _rounds(link, writers)
    if not any(writer.moves_keys() for writer in writers):
        return
    # A key that was set back has taken others with it, by ON UPDATE CASCADE, that had been written before.
    cascaded = [set(unwritten(link, writer.target)) - set(writer.pending["update"]) for writer in writers]
    if any(cascaded):
        for writer, rows in zip(writers, cascaded, strict=True):
            writer.pending["update"] = sorted({*writer.pending["update"], *rows})
        _rounds(link, writers)


def _rounds(link: Link, writers: list[Writer]) -> None:
    again = True
    while again:
        again = False
        for writer in writers:
            again |= writer.put("insert")
        for writer in writers:
            again |= writer.put("update")
            # Before the rows that refer to it: its keys take them with it.
            again |= replay(link, writer)
        for writer in reversed(writers):
            again |= _delete(link, writer)
        if not any(any(w.pending.values()) for w in writers):
            return


def _delete(link: Link, writer: Writer) -> bool:
    pending = writer.pending["delete"]
    free = block(link, writer.target, pending)
    held = sorted(set(pending) - set(free))
    writer.pending["delete"] = free
    wrote = writer.put("delete")
    writer.pending["delete"] = sorted({*writer.pending["delete"], *held})
    return wrote


def _note(link: Link, writers: list[Writer], migrations: Sequence[int], *, back: bool, goes_on: bool) -> None:
    """Note which transactions wrote: the next turn knows by them that nobody has written a row since."""
    direction, numbers = str(back).lower(), ", ".join(map(str, migrations)) or "NULL"
    if not goes_on:
        link.rows(f"DELETE FROM {TURN} WHERE migration IN ({numbers}) AND back = {direction}")
    by = sorted(set().union(*(writer.written_by for writer in writers)))
    if by:
        values = ", ".join(f"({m}, {direction}, '{x}')" for m in migrations for x in by)
        link.rows(f"INSERT INTO {TURN} VALUES {values} ON CONFLICT DO NOTHING")


def _clean(link: Link, chosen: list[Target]) -> None:
    for target in chosen:
        for part in _PARTS:
            link.rows(f"DROP TABLE IF EXISTS {target.part(part)}")
    types = objects(
        link,
        f"SELECT t.typname AS name FROM pg_catalog.pg_type t WHERE t.typnamespace = '{SCHEMA}'::regnamespace "
        "AND t.typname ~ '^_bo_text_[0-9]+$'",
    )
    for one in types:
        link.rows(f'DROP TYPE {SCHEMA}."{one["name"]}"')
