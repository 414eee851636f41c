"""What a way back has done to rows that violate something is undone: values and rows are given back, where nobody has changed them since."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from backout.databases.postgres.reversible.built import path_of
from backout.databases.postgres.reversible.journal import Operation, every_entry
from backout.databases.postgres.reversible.link import Link, LinkError, objects, scalar
from backout.databases.postgres.reversible.names import hidden, ident, is_hidden, literal
from backout.databases.postgres.reversible.relax import marker_of
from backout.databases.postgres.reversible.remedies import table_of
from backout.databases.postgres.reversible.rows.quiet import exactly, quietly
from backout.databases.postgres.reversible.rows.store import KEPT, WAY
from backout.databases.postgres.reversible.rows.write import ROW_IS_REFUSED
from backout.databases.postgres.reversible.set_right import ASIDE, FILLED, REPAIRED, kept_as, migrations_of
from backout.databases.postgres.reversible.snapshot import Thing
from backout.databases.postgres.reversible.work import Work
from backout.migration import HiddenThing

_POINT = "backout_given"


def forward(work: Work, change: int, operation: Operation, *, turn: int) -> None:
    """Give all of it back on a way forward: values after the turn in which such things are dropped, whole rows when all is in its place."""
    called, table = operation["called"], table_of(operation)

    def values(word: str = REPAIRED) -> None:
        with quietly(work.link, [table], []), exactly(work.link, path=False):
            given, left = give_back(work, change, operation, word)
        _tell_given(work, called, given, left, "value(s)")

    def rows() -> None:
        with quietly(work.link, [table], []), exactly(work.link, path=False):
            given, left = bring_back(work, change, operation)
        _tell_given(work, called, given, left, "row(s)")

    kept = objects(
        work.link,
        f"SELECT DISTINCT why FROM {KEPT} WHERE relation = {table} AND migrations = {migrations_of(change)}",
    )
    whys = {str(one["why"]) for one in kept}
    if kept_as(REPAIRED, called) in whys:
        work.at(turn + 1, values)
    if kept_as(FILLED, called) in whys:
        work.at(turn + 1, lambda: values(FILLED))
    if kept_as(ASIDE, called) in whys:
        work.at_last.append(rows)


def give_back(work: Work, change: int, operation: Operation, word: str = REPAIRED) -> tuple[int, int]:
    """Give repaired rows what they had, where nobody has changed it since; the rest stays in `backout.row_kept`.

    Args:
        work: The transaction, in which what they violate is not there any more.
        change: Number of the journal row.
        operation: Of the CHECK or key, or of the column that had to have a value.
        word: Begins the reason with which it was kept.

    Returns:
        In how many rows it was given back, and of how many values it was not.
    """
    table, why = table_of(operation), kept_as(word, operation["called"])
    noted = f"relation = {table} AND why = {literal(why)} AND migrations = {migrations_of(change)}"
    forms = objects(work.link, f"SELECT DISTINCT row_attnums AS key, attnum FROM {KEPT} WHERE {noted}")
    given = 0
    # What is made of it has stayed as it was.
    work.link.rows(f"SET LOCAL {WAY} = 'on'")
    for form in forms:
        of = f"{noted} AND row_attnums = '{{{','.join(map(str, form['key'] or []))}}}' AND attnum = {form['attnum']}"
        columns = work.now.columns(table)
        if form["key"] and {*form["key"], form["attnum"]} <= columns.keys():
            given += _given(work, table, columns, form["key"], columns[form["attnum"]], of)
    work.link.rows(f"SET LOCAL {WAY} = ''")
    left = int(scalar(work.link, f"SELECT count(*) FROM {KEPT} WHERE {noted}") or 0)
    work.link.rows(f"UPDATE {KEPT} SET why = why || '; not given back' WHERE {noted}")
    return given, left


def _given(
    work: Work, table: int, columns: dict[int, Thing], key: Sequence[int], column: Thing, of: str
) -> int:
    name, path = ident(str(column["name"])), path_of(work.now, table)
    same = " AND ".join(
        f"t.{ident(str(columns[n]['name']))} = (k.key[{at}])::{columns[n]['type_text']}"
        for at, n in enumerate(key, 1)
    )
    work.link.rows(f"SAVEPOINT {_POINT}")
    try:
        found = scalar(
            work.link,
            f"WITH k AS (SELECT key, (array_agg(wanted ORDER BY id))[1] AS wanted, (array_agg(kept ORDER BY id DESC))[1] AS kept, "
            f"array_agg(id) AS ids FROM {KEPT} WHERE {of} GROUP BY key), "
            f"done AS (UPDATE {path} t SET {name} = (k.wanted)::{column['type_text']} FROM k WHERE {same} "
            f"AND t.{name}::text IS NOT DISTINCT FROM k.kept RETURNING k.ids), "
            f"gone AS (DELETE FROM {KEPT} WHERE id IN (SELECT unnest(ids) FROM done)) "
            "SELECT count(*) FROM done",
        )
    except LinkError as error:
        if not error.sqlstate.startswith(ROW_IS_REFUSED):
            raise
        work.link.rows(f"ROLLBACK TO SAVEPOINT {_POINT}")
        found = "0"
    work.link.rows(f"RELEASE SAVEPOINT {_POINT}")
    return int(found or 0)


def bring_back(work: Work, change: int, operation: Operation) -> tuple[int, int]:
    """Make the rows again that were set aside; where one cannot be, it stays aside for good. As `give_back`, when all else is in its place."""
    table, why = table_of(operation), kept_as(ASIDE, operation["called"])
    noted = f"relation = {table} AND why = {literal(why)} AND migrations = {migrations_of(change)}"
    rows = objects(work.link, f"SELECT id, row_attnums AS attnums FROM {KEPT} WHERE {noted} ORDER BY id")
    for form in {tuple(one["attnums"]) for one in rows}:
        ids = [int(one["id"]) for one in rows if tuple(one["attnums"]) == form]
        if not _brought(work, table, form, ids) and len(ids) > 1:
            for one in ids:
                _brought(work, table, form, [one])
    left = int(scalar(work.link, f"SELECT count(*) FROM {KEPT} WHERE {noted}") or 0)
    work.link.rows(f"UPDATE {KEPT} SET why = why || '; not given back' WHERE {noted}")
    return len(rows) - left, left


def _brought(work: Work, table: int, form: Sequence[int], ids: Sequence[int]) -> bool:
    """Make rows again, all or none; tell whether they are."""
    places = {attnum: f"row_image[{n}]" for n, attnum in enumerate(form, 1)}
    names, values, told = [], [], _told_since(work, table)
    for attnum, one in work.now.columns(table).items():
        if one["generated"] or (attnum not in places and not is_hidden(str(one["name"]))):
            continue
        names.append(ident(str(one["name"])))
        # Where what marks rows written since has come after it, this is none.
        was = next(
            (places[n] for n in (attnum, *told.markers.get(str(one["name"]), ())) if n in places), "NULL"
        )
        value = f"({was})::{one['type_text']}"
        if (marks := told.marks.get(attnum)) and is_hidden(str(one["name"])):
            mark = one["default_text"] or "NULL"
            value = f"CASE WHEN {was} IN ({', '.join(f'({m})::text' for m in sorted(marks))}) THEN {mark} ELSE {value} END"
        values.append(value)
    those = f"FROM {KEPT} WHERE id IN ({', '.join(map(str, ids))})"
    work.link.rows(f"SAVEPOINT {_POINT}")
    try:
        work.link.rows(
            f"INSERT INTO {path_of(work.now, table)} ({', '.join(names)}) OVERRIDING SYSTEM VALUE SELECT {', '.join(values)} {those} ORDER BY id"
        )
        work.link.rows(f"DELETE {those}")
    except LinkError as error:
        if not error.sqlstate.startswith(ROW_IS_REFUSED):
            raise
        work.link.rows(f"ROLLBACK TO SAVEPOINT {_POINT}")
        return False
    finally:
        work.link.rows(f"RELEASE SAVEPOINT {_POINT}")
    return True


@dataclass(slots=True)
class _Told:
    """What has told rows of a table that were written while columns of it were hidden, and does not any more.

    Attributes:
        marks: What they had in such a column, as SQL, by its number.
        markers: Numbers of columns that told them, by the name that they have each time.
    """

    marks: dict[int, set[str]] = field(default_factory=dict)
    markers: dict[str, list[int]] = field(default_factory=dict)


def _told_since(work: Work, table: int) -> _Told:
    found = _Told()
    for one in every_entry(work.link):
        record = one.operation.get("hidden", one.operation)
        if one.kind == "column.hidden" and record["table"] == table:
            found.marks.setdefault(record["attnum"], set()).update(one.operation.get("marks", ()))
            found.markers[marker_of(hidden(one.id))] = one.operation.get("markers", [])
    return found


def _tell_given(work: Work, called: str, given: int, left: int, what: str) -> None:
    if given:
        work.residues.append(f"{given} {what} that {called} did not allow are there again")
    if left:
        work.residues.append(
            f"{left} {what} that {called} did not allow are not there again, as somebody has changed that since, or it is refused: they are in {KEPT}"
        )


def set_aside_rows(link: Link, migrations: Collection[int] | None = None) -> list[HiddenThing]:
    """Return the rows that are set aside, as one hidden thing for each table and migration.

    Args:
        link: In a transaction.
        migrations: Only those of these migrations.
    """
    of = (
        ""
        if migrations is None
        else f" AND migrations && ARRAY[{', '.join(map(str, migrations)) or 'NULL'}]::bigint[]"
    )
    found = objects(
        link,
        f"SELECT migrations[1] AS migration, called, count(*) AS rows, sum(pg_column_size(row_image)) AS size FROM {KEPT} "
        f"WHERE starts_with(why, {literal(ASIDE)}){of} GROUP BY 1, 2 ORDER BY 1, 2",
    )
    return [
        HiddenThing(
            migration=one["migration"],
            kind="rows",
            called=f"{one['rows']} row(s) of {one['called']} set aside",
            name=KEPT,
            size_bytes=one["size"],
            estimated_bytes=0,
        )
        for one in found
    ]
