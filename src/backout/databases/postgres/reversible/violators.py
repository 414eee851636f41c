"""Rows that are in the way of what would come back: a CHECK that earlier code could not change them under, a key that has them twice."""

from __future__ import annotations

from collections.abc import Iterator

from backout.databases.postgres.reversible.asking import Asking, Unanswered
from backout.databases.postgres.reversible.built import family_of, is_built_before, renamed
from backout.databases.postgres.reversible.held import path
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.parse import keys_of
from backout.databases.postgres.reversible.remedies import Remedy, brings_check, condition, remedy, set_texts
from backout.databases.postgres.reversible.rows.refer import refers_to
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.twice import twice
from backout.migration_status import RowsSince


def violators(asking: Asking, now: Snapshot, entry: Entry) -> Iterator[RowsSince]:
    """Yield it for the CHECK or key that a way back of a change would bring back, where there are any or nobody knows."""
    if is_built_before(entry) and family_of(entry) is None:
        told = twice(now, entry.operation)
        if told is None:
            yield from _twice(asking, now, entry)
        else:
            yield from _set_right(asking, now, told)
    if not brings_check(entry) or Key("table", entry.operation["dropped"]["table"]) not in now.things:
        return
    dropped, called = entry.operation["dropped"], entry.operation["called"]
    bad = condition(now, dropped)
    if bad is None:
        yield _told(called, None, why="columns that it speaks of come back with it")
        return
    told = remedy(now, entry.operation)
    if told is None:
        those = f"FROM {path(now, Key('table', dropped['table']))} t WHERE"
        yield from _counted(asking, called, f"SELECT count(*) {those} {bad}", f"SELECT * {those} {bad}")
        return
    yield from _set_right(asking, now, told)


def _set_right(asking: Asking, now: Snapshot, told: Remedy) -> Iterator[RowsSince]:
    """Yield how many rows get another value, are set aside, or cannot be."""
    called, bad = told.called, told.bad
    those = f"FROM {path(now, Key('table', told.table))} t WHERE"
    if told.sets:
        rows = f"SELECT count(*) {those} {bad} AND {told.cured}"
        yield from _counted(asking, called, rows, set_texts(told), kind="repaired")
    rows, shown = f"SELECT count(*) {those} {told.left}", f"SELECT * {those} {told.left}"
    if not told.aside:
        yield from _counted(asking, called, rows, shown)
        return
    yield from _counted(asking, called, rows, shown, kind="aside")
    refers = refers_to(asking.link, told.table)
    yield from _counted(asking, called, f"{rows} AND ({refers})", f"{shown} AND ({refers})", kind="referred")


def _twice(asking: Asking, now: Snapshot, entry: Entry) -> Iterator[RowsSince]:
    """Yield how many keys stand in several rows."""
    made = entry.operation["made"]
    if Key("table", made["table"]) not in now.things:
        return
    index = renamed(now, made)
    keys = keys_of(index)
    names = ", ".join(f"k{at}" for at in range(1, keys.count(" AS k") + 1))
    apart = "" if "NULLS NOT DISTINCT" in index else "WHERE k IS NOT NULL "
    those = f"SELECT {names}, count(*) AS rows FROM ({keys}) k {apart}GROUP BY {names} HAVING count(*) > 1"
    yield from _counted(
        asking, entry.operation["called"], f"SELECT count(*) FROM ({those}) t", those, kind="twice"
    )


def _counted(
    asking: Asking, called: str, counts: str, shows: str, *, kind: str = "violators"
) -> Iterator[RowsSince]:
    rows, why = None, None
    try:
        rows = asking.count(counts)
    except Unanswered as error:
        why = str(error)
    if rows != 0:
        yield _told(called, rows, kind=kind, value=shows, why=why)


def in_the_way(one: RowsSince) -> str:
    """Say what has to be done before the way back."""
    if one.kind == "referred":
        return (
            f"{one.rows} row(s) that do not meet {one.what}, which comes back, are referred to by others, so that they cannot "
            f"be set aside. Change them first; they are shown by: {one.value}"
        )
    if one.kind == "twice":
        return (
            f"{one.rows} value(s) are there more than once, which {one.what} does not allow when it comes back. "
            "Change them first, or have backout db rollback give all but one another value (--repair TABLE.COLUMN=EXPR) or set "
            f"them aside (--quarantine TABLE); they are shown by: {one.value}"
        )
    return (
        f"{one.rows} row(s) do not meet {one.what}, which comes back, and the earlier code could not change them. "
        "Change them first, or have backout db rollback give them another value (--repair TABLE.COLUMN=EXPR) or set them aside "
        f"(--quarantine TABLE); they are shown by: {one.value}"
    )


def _told(
    called: str,
    rows: int | None,
    *,
    kind: str = "violators",
    value: str | None = None,
    why: str | None = None,
) -> RowsSince:
    return RowsSince(
        kind=kind,
        what=called,
        rows=rows,
        value=value,
        why=why,
        stops=bool(rows) and kind not in ("repaired", "aside"),
    )
