"""Filling a column, when it is shown again, in the rows that were written or changed while it was hidden: as its migration did.

A hidden boolean tells those rows: its default is true, and a trigger makes it false when what the value is made of changes.
"""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible import conversion
from backout.databases.postgres.reversible.conversion import by_index, called_with, set_as, told_by
from backout.databases.postgres.reversible.link import LinkError, scalar
from backout.databases.postgres.reversible.names import LAST, PREFIX, SCHEMA, ident, is_hidden, literal
from backout.databases.postgres.reversible.recipes import sources
from backout.databases.postgres.reversible.rows.quiet import quietly
from backout.databases.postgres.reversible.rows.store import KEPT, WAY
from backout.databases.postgres.reversible.rows.write import ROW_IS_REFUSED
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Moved, Work

Record = dict[str, Any]


def watch(work: Work, change: int, record: Record, recipe: Record) -> None:
    """Have the rows marked in which something changes that a hidden column's value is made of.

    Where nobody knows what it is made of: all rows that are changed.
    """
    table, mark = record["table"], ident(record["marker"])
    columns = {
        attnum: one for attnum, one in work.now.columns(table).items() if not is_hidden(str(one["name"]))
    }
    # Where nobody knows what it is made of: of all.
    read = sources(recipe["steps"]) if recipe["why"] is None else [*columns]
    watched = told_by(columns, read)
    if watched:
        conversion.marker(work, change, record["marker"], f"coalesce(NEW.{mark}, false)")
        conversion.watch(work, change, table, watched, unless=WAY)


def refill(work: Work, change: int, record: Record, recipe: Record) -> bool:
    """Give a shown column its value in the marked rows; tell where its migration's way is not known.

    Returns:
        Rows have none, though they must: they are refused in the end, unless the migration itself deletes them.

    Args:
        work: The transaction, which holds the table's exclusive lock.
        change: Number of the journal row.
        record: Of the hidden column.
        recipe: How the migration filled it.

    Raises:
        Moved: The value cannot be computed, or there is none and there must be one.
    """
    _unwatch(work, change, record)
    path, name = _place(work, record)
    mark, steps, first = ident(record["marker"]), recipe["steps"], _first(work, record)
    with quietly(work.link, [record["table"]], []), by_index(work):
        try:
            if recipe["why"] is not None:
                # Whoever was refused may have given a row its value, in the hidden column.
                work.run(f"UPDATE {path} SET {name} = {first} WHERE {mark} AND {name} IS NULL")
                _tell(work, record, recipe["why"])
            else:
                set_as(work, steps[-1]["settings"])
                value, holds = _composed(work, record, steps, first)
                work.run(f"UPDATE {path} SET {name} = {value} WHERE {mark}")
                _anew(work, change, record, value, f"{mark} IS NOT NULL AND NOT {mark} AND ({holds})")
        except LinkError as error:
            if not error.sqlstate.startswith(ROW_IS_REFUSED):
                raise
            why = f"cannot be computed in a row that was written or changed while it was hidden: {error}"
            raise _moved(record, path, f"{why}. Change such rows first") from error
        return _look_for_missing(work, record, recipe)


def _first(work: Work, record: Record) -> str:
    """Return what a row has before any step: the column's default, or what it got by itself."""
    column = work.thing("column", record["table"], record["attnum"], called=record["called"])
    return (
        ident(column["name"])
        if record["numbers"]
        else f"({record['default'] or 'NULL'})::{column['type_text']}"
    )


def _composed(work: Work, record: Record, steps: list[Record], first: str) -> tuple[str, str]:
    """Return the value that steps give a row, each after the one before, and whether any of them is for it."""
    table, value, holds = record["table"], first, []
    columns = work.now.columns(table)
    if not set(sources(steps)) <= columns.keys():
        raise Moved(record["called"], "cannot be filled: a column that its migration's UPDATE reads is gone")
    for step in steps:
        given = called_with(work, table, [step["value"]], of=value)
        holds.append(called_with(work, table, [step["where"]], of=value) if step["where"] else "true")
        value = f"CASE WHEN {holds[-1]} THEN {given} ELSE {value} END" if step["where"] else given
    return value, " OR ".join(holds)


def _anew(work: Work, change: int, record: Record, value: str, those: str) -> None:
    """Compute the value of rows that were changed; what was there is kept for people, as somebody may have written it."""
    path, name = _place(work, record)
    table, attnum = record["table"], record["attnum"]
    differs = f"{those} AND pg_catalog.record_image_ne(ROW({name}), ROW({value}))"
    count = int(scalar(work.link, f"SELECT count(*) FROM {path} WHERE {differs}") or 0)
    if not count:
        return
    columns = work.now.columns(table)
    keys = [one["columns"] for one in work.now.of_table("index", table).values() if one["primary"]]
    parts = ", ".join(f"{ident(columns[one]['name'])}::text" for key in keys for one in key)
    work.link.rows(
        f"INSERT INTO {KEPT} (migrations, back, relation, called, key, attnum, column_name, kept, wanted, why) "
        f"SELECT ARRAY[(SELECT migration FROM {SCHEMA}.change WHERE id = {change})], false, {table}, "
        f"{literal(work.now.name(Key('table', table)))}, ARRAY[{parts}]::text[], {attnum}, {literal(record['name'])}, "
        f"({value})::text, {name}::text, 'computed anew' FROM {path} WHERE {differs}"
    )
    work.run(f"UPDATE {path} SET {name} = {value} WHERE {differs}")
    work.residues.append(
        f"{record['called']} was computed anew in {_rows(count)} changed while it was hidden: what was there is in {KEPT}"
    )


def _look_for_missing(work: Work, record: Record, recipe: Record) -> bool:
    """Refuse rows without a value, where there must be one; those that the migration itself deletes do not count."""
    path, name = _place(work, record)
    missing = f"SELECT count(*) FROM {path} WHERE {ident(record['marker'])} IS NOT NULL AND {name} IS NULL"
    if not record["not_null"] or scalar(work.link, missing) == "0":
        return False

    def check() -> None:
        path, name = _place(work, record)
        count = int(scalar(work.link, f"SELECT count(*) FROM {path} WHERE {name} IS NULL") or 0)
        if count:
            why = f"has no value in {_rows(count)} written while it was hidden, and needs one"
            first = "Change such rows first, so that it can be computed"
            if recipe["why"] is not None:
                first = f"{recipe['why']}. Give such rows one first, in the hidden column {record['hidden']}"
            raise _moved(record, path, f"{why}{': ' if recipe['why'] else '. '}{first}")

    work.at_last.append(check)
    return True


def _tell(work: Work, record: Record, why: str) -> None:
    path, _ = _place(work, record)
    found = f"SELECT count(*) FROM {path} WHERE {ident(record['marker'])} IS NOT NULL"
    count = int(scalar(work.link, found) or 0)
    if count:
        work.residues.append(
            f"{record['called']} was not filled in {_rows(count)} written or changed while it was hidden: {why}"
        )


def _unwatch(work: Work, change: int, record: Record) -> None:
    name = f"{LAST}{change}"
    if any(one["name"] == name for one in work.now.of_table("trigger", record["table"]).values()):
        conversion.unwatch(work, change, record["table"])
        work.run(f"DROP FUNCTION {ident(SCHEMA, f'{PREFIX}{change}_mark')}()")


def _moved(record: Record, path: str, why: str) -> Moved:
    """Return the refusal; the rows are those that the mark tells when nothing was changed."""
    shown = f"SELECT * FROM {path} WHERE {ident(record['marker'])} IS NOT NULL"
    return Moved(
        record["called"],
        f"{why}; those written or changed are shown by: {shown}",
        look=shown,
    )


def _place(work: Work, record: Record) -> tuple[str, str]:
    column = work.thing("column", record["table"], record["attnum"], called=record["called"])
    return work.table_path(record["table"], called=record["called"]), ident(column["name"])


def _rows(count: int) -> str:
    return f"{count} {'row' if count == 1 else 'rows'}"
