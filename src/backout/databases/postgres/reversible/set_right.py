"""Rows that violate a CHECK which comes back get the value that was told for them, or are set aside.

What a row had, and a row that is set aside, is kept in `backout.row_kept`, until it is given back: see `given_back.py`.
"""

from __future__ import annotations

from backout.databases.postgres.reversible.built import path_of
from backout.databases.postgres.reversible.conversion import by_index
from backout.databases.postgres.reversible.journal import Operation
from backout.databases.postgres.reversible.link import Link, scalar
from backout.databases.postgres.reversible.names import SCHEMA, hidden, ident, is_hidden, literal
from backout.databases.postgres.reversible.remedies import Remedy, remedy, set_texts
from backout.databases.postgres.reversible.rows.quiet import exactly, quietly
from backout.databases.postgres.reversible.rows.refer import refers_to
from backout.databases.postgres.reversible.rows.store import KEPT, WAY
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing
from backout.databases.postgres.reversible.work import Moved, Work

ASIDE = "set aside"
"""Begins the reason with which a whole row is kept."""
REPAIRED = "repaired"
"""Begins the reason with which a value is kept."""
FILLED = "filled"
"""Begins the reason with which it is kept that there was none."""
_INTO = f"INSERT INTO {KEPT} (migrations, back, relation, called, key, attnum, column_name, kept, wanted, why, row_attnums, row_image)"


def set_right(work: Work, change: int, operation: Operation) -> None:
    """Do it on a way back, for all the rows that are left, when all else is in its place.

    Args:
        work: The transaction, which holds the table's exclusive lock.
        change: Number of the journal row.
        operation: Of a CHECK that was made again, not looked at for the rows that are there.

    Raises:
        Moved: There are rows that nothing was told of.
    """
    table, called = operation["dropped"]["table"], operation["called"]
    found = remedy(work.now, operation)
    if found is None:
        raise Moved(called, "speaks of a column that is not there: nobody can tell which rows violate it")
    put_right(work, change, found)
    drop_index(work, change, table)
    tell(work, change, table, called)


def put_right(work: Work, change: int, found: Remedy) -> None:
    """Do what was told with all rows that violate something.

    Raises:
        Moved: There are others.
    """
    path = work.table_path(found.table, called=found.called)
    with quietly(work.link, [found.table], []), by_index(work), exactly(work.link, path=False):
        if found.sets:
            work.done.append(f"UPDATE {path} SET {set_texts(found)} WHERE {found.bad} AND {found.cured}")
            repaired(work.link, work.now, change, found)
        refers = f"({refers_to(work.link, found.table)})"
        if found.aside:
            work.done.append(f"DELETE FROM {path} WHERE {found.bad}")
            _set_aside(work.link, work.now, change, found, refers)
        left = int(scalar(work.link, f"SELECT count(*) FROM {path} WHERE {found.bad}") or 0)
    if left:
        told = (
            "are referred to by others, so that they cannot be set aside"
            if found.aside
            else "do not meet it either with their other values"
        )
        raise Moved(found.called, f"is not met by {left} row(s), which {told}: {_advice(found)}")


def repaired(
    link: Link, now: Snapshot, change: int, one: Remedy, *, limit: int | None = None, word: str = REPAIRED
) -> int:
    """Give rows the value that was told for them, and keep what they had; return of how many.

    Args:
        link: In a transaction, with `exactly`.
        now: The catalog.
        change: Number of the journal row.
        one: What was told.
        limit: At most so many, and none that somebody is writing.
        word: Begins the reason with which it is kept.
    """
    path, key = path_of(now, one.table), _key(now, one.table)
    few = "" if limit is None else f" LIMIT {limit} FOR UPDATE SKIP LOCKED"
    names = [ident(each.name) for each in one.sets]
    was = ", ".join(f"{name}::text" for name in names)
    values = ", ".join(f"({n}, {s.attnum}::int2, {literal(s.name)})" for n, s in enumerate(one.sets, 1))
    attnums = f"'{{{','.join(map(str, key))}}}'::int2[]" if key else "NULL::int2[]"
    columns = now.columns(one.table)
    told = ", ".join(f"t.{ident(str(columns[n]['name']))}::text" for n in key or _plain(columns))
    becomes = ", ".join(f"t.{name}::text" for name in names)
    if key:
        # What is made of it stays as it is: it is given back, or changed by somebody, who is noticed.
        link.rows(f"SET LOCAL {WAY} = 'on'")
    # The names are ours: what was told speaks of the table's columns without a name before them.
    found = scalar(
        link,
        f"WITH chosen AS (SELECT ctid AS _bo_at, ARRAY[{was}] AS _bo_was FROM {path} WHERE {one.bad} AND {one.cured}{few}), "
        f"done AS (UPDATE {path} t SET {set_texts(one)} FROM chosen WHERE t.ctid = _bo_at "
        f"RETURNING ARRAY[{told}] AS key, _bo_was AS was, ARRAY[{becomes}] AS becomes), "
        f"noted AS ({_INTO} SELECT {migrations_of(change)}, true, {one.table}, {literal(now.name(Key('table', one.table)))}, d.key, "
        f"v.attnum, v.name, d.becomes[v.n], d.was[v.n], {literal(kept_as(word, one.called))}, {attnums}, NULL "
        f"FROM done d, (VALUES {values}) v(n, attnum, name)) SELECT count(*) FROM done",
    )
    link.rows(f"SET LOCAL {WAY} = ''")
    return int(found or 0)


def _set_aside(link: Link, now: Snapshot, change: int, one: Remedy, refers: str) -> None:
    """Move rows away that others do not refer to."""
    columns = now.columns(one.table)
    image = ", ".join(f"t.{ident(str(column['name']))}::text" for column in columns.values())
    key = ", ".join(
        f"t.{ident(str(columns[n]['name']))}::text" for n in _key(now, one.table) or _plain(columns)
    )
    link.rows(
        f"WITH gone AS (DELETE FROM {path_of(now, one.table)} t WHERE {one.bad} AND NOT {refers} "
        f"RETURNING ARRAY[{key}] AS key, ARRAY[{image}] AS image) "
        f"{_INTO} SELECT {migrations_of(change)}, true, {one.table}, {literal(now.name(Key('table', one.table)))}, key, NULL, NULL, NULL, "
        f"image::text, {literal(kept_as(ASIDE, one.called))}, '{{{','.join(map(str, columns))}}}', image FROM gone"
    )


def drop_index(work: Work, change: int, table: int) -> None:
    """Drop the index that found the rows. Idempotent."""
    for key, one in work.now.of_table("index", table).items():
        if one["name"] == hidden(change):
            work.run(f"DROP INDEX {work.path('index', key.oid, called=hidden(change))}")


def tell(work: Work, change: int, table: int, called: str) -> None:
    """Tell what was done, also what was ahead of the way."""
    those = f"FROM {KEPT} WHERE back AND relation = {table} AND migrations = {migrations_of(change)}"
    count = scalar(
        work.link,
        f"SELECT count(DISTINCT key) {those} AND why = {literal(kept_as(REPAIRED, called))}",
    )
    if count != "0":
        work.residues.append(
            f"{count} row(s) were given other values, as {called} does not allow theirs: what they had is in {KEPT}"
        )
    count = scalar(work.link, f"SELECT count(*) {those} AND why = {literal(kept_as(ASIDE, called))}")
    if count != "0":
        work.residues.append(
            f"{count} row(s) were set aside, as {called} does not allow them: they are in {KEPT}, and come again with db redo"
        )


def _advice(one: Remedy) -> str:
    place = one.called.rpartition(".")[0]
    return (
        f"change them first, or set them aside by --quarantine {place}"
        if not one.aside
        else "change them first"
    )


def kept_as(word: str, called: str) -> str:
    """Return the reason with which something is kept, for people, and to find it again."""
    return f"{word}, as {called} comes back"


def migrations_of(change: int) -> str:
    """SQL: the migration of a change, as `backout.row_kept` tells it."""
    return f"ARRAY[(SELECT migration FROM {SCHEMA}.change WHERE id = {change})]"


def _key(now: Snapshot, table: int) -> list[int]:
    """Return the attnums of the primary key; none: there is none."""
    return next((one["columns"] for one in now.of_table("index", table).values() if one["primary"]), [])


def _plain(columns: dict[int, Thing]) -> list[int]:
    return [attnum for attnum, one in columns.items() if not is_hidden(str(one["name"]))]
