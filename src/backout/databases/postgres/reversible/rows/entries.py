"""Logged rows taken apart: one text per column, in the order of the table's columns as they are now."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, ident
from backout.databases.postgres.reversible.rows.store import EVERYTHING, LOG, SHAPE, TRUNCATED, Span
from backout.databases.postgres.reversible.rows.targets import Target, texts

_PLAIN = "regexp_replace(coalesce(new, old), '\"(\"\"|\\\\\\\\|[^\"\\\\])*\"', '', 'g')"
_COUNT = f"(length({_PLAIN}) - length(replace({_PLAIN}, ',', '')) + 1)"


class Unreadable(Exception):
    """Logged rows cannot be told apart by column: columns were dropped while they were logged."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Logged rows of one form."""

    relation: int
    migration: int
    since: int | None
    until: int | None
    fields: int
    counted: bool
    attnums: list[int | None]


Marks = Mapping[int, Collection[str]]
"""By column (attnum): what it has had, while it was hidden, in rows that nobody has given a value. SQL."""


def take_apart(
    link: Link,
    target: Target,
    migrations: Sequence[int],
    marks: Marks,
    *,
    back: bool,
    span: Span = EVERYTHING,
) -> None:
    """Make the table `entries` of a target from what is logged within a span.

    Its rows: seq, old and new (texts by column; NULL: there was no row), known (positions, from 1 on, of the columns that
    the images have), okey and nkey, old_xmin and new_xmin. For the way forward, old and new are turned, and so is the order.

    Raises:
        Unreadable: Columns were dropped while the rows were logged.
    """
    pieces = list(_pieces(link, target, migrations, span))
    for width in {piece.fields for piece in pieces} | {target.width}:
        make_texts(link, width)
    copies = objects(
        link,
        f"SELECT relation::int8 AS relation, copy, attnums, at FROM {TRUNCATED} WHERE migration IN ({', '.join(map(str, migrations))}) "
        f"AND relation IN ({', '.join(map(str, target.positions))}) AND {span.condition('at')}",
    )
    for copy in copies:
        make_texts(link, len(copy["attnums"]))
    selects = " UNION ALL ".join(
        [_select(target, piece) for piece in pieces] + [_truncated(target, copy) for copy in copies]
    )
    key = ", ".join(f"{{0}}[{i + 1}]" for i in target.key)
    names = (
        ("old", "new", "old_xmin", "new_xmin", "seq")
        if back
        else ("new", "old", "NULL::text", "NULL::text", "-seq")
    )
    okey, nkey = (f"ARRAY[{key.format(name)}]" if target.key else name for name in names[:2])
    link.rows(
        f"CREATE TABLE {target.part('entries')} AS SELECT {names[4]} AS seq, {names[0]} AS old, {names[1]} AS new, known, "
        f"{names[2]} AS old_xmin, {names[3]} AS new_xmin, CASE WHEN {names[0]} IS NOT NULL THEN {okey} END AS okey, "
        f"CASE WHEN {names[1]} IS NOT NULL THEN {nkey} END AS nkey FROM ({selects}) e"
    )
    _forget_marks(link, target, marks, back=back)


def _forget_marks(link: Link, target: Target, marks: Marks, *, back: bool) -> None:
    """Let images not have a column that was hidden when they were logged: what stands there is no value of anybody."""
    was, became = ("old", "new") if back else ("new", "old")
    for n, column in enumerate(target.columns, 1):
        if column.attnum not in marks or n - 1 in target.key:
            continue
        told = ", ".join(f"({mark})::text" for mark in sorted(marks[column.attnum])) or "NULL"

        def marked(image: str, n: int = n, told: str = told) -> str:
            return f"coalesce({image}[{n}] IN ({told}), false)"

        link.rows(
            f"UPDATE {target.part('entries')} SET known = array_remove(known, {n}::int2) WHERE {n} = ANY (known) AND "
            f"CASE WHEN {was} IS NULL THEN {became}[{n}] IS NULL OR {marked(became)} WHEN {became} IS NULL THEN {marked(was)} "
            f"ELSE {marked(was)} AND {marked(became)} END"
        )


def make_texts(link: Link, width: int) -> None:
    """Make the type that a record of so many columns is read as; it is dropped with the work."""
    if link.rows(f"SELECT to_regtype('{texts(width)}') AS t")[0]["t"] is None:
        columns = ", ".join(f"c{n} text" for n in range(1, width + 1))
        link.rows(f"CREATE TYPE {texts(width)} AS ({columns})")


def _pieces(link: Link, target: Target, migrations: Sequence[int], span: Span) -> Iterator[_Piece]:
    numbers, logged = ", ".join(map(str, migrations)), ", ".join(map(str, target.positions))
    shapes = objects(
        link,
        f"""SELECT s.relation::int8 AS relation, s.migration, s.since, s.attnums, s.last, c.relnatts AS last_now,
          lead(s.since) OVER w AS until, row_number() OVER w AS number,
          ARRAY(SELECT attnum FROM pg_catalog.pg_attribute WHERE attrelid = s.relation AND attnum > 0 AND attisdropped) AS dropped
        FROM {SHAPE} s JOIN pg_catalog.pg_class c ON c.oid = s.relation
        WHERE s.migration IN ({numbers}) AND s.relation IN ({logged})
        WINDOW w AS (PARTITION BY s.migration, s.relation ORDER BY s.since)""",
    )
    for shape in shapes:
        sinces = [span.since, None if shape["number"] == 1 else shape["since"]]
        since = max((one for one in sinces if one is not None), default=None)
        until = min((one for one in (span.until, shape["until"]) if one is not None), default=None)
        place = shape["relation"], shape["migration"], since, until
        attnums: list[int | None] = list(shape["attnums"])
        if shape["last"] == shape["last_now"] and not set(attnums) & set(shape["dropped"]):
            yield _Piece(*place, len(attnums), False, attnums)
            continue
        for fields in _counted(link, *place):
            yield _Piece(*place, fields, True, _grown(attnums, fields, shape))


def _grown(attnums: list[int | None], fields: int, shape: dict[str, int | list[int]]) -> list[int | None]:
    """Return the columns of images that have more than the table had when its log began; None: it cannot be told which."""
    more = fields - len(attnums)
    if more < 0:
        raise Unreadable("columns were dropped while the rows were logged")
    last = shape["last"]
    assert isinstance(last, int) and isinstance(shape["dropped"], list)
    # Numbers are given in order: where none of them is dropped now, none was then.
    sure = not any(last < attnum <= last + more for attnum in shape["dropped"])
    return attnums + [last + n if sure else None for n in range(1, more + 1)]


def _counted(link: Link, relation: int, migration: int, since: int | None, until: int | None) -> list[int]:
    where = _where(relation, migration, since, until)
    found = objects(link, f"SELECT DISTINCT {_COUNT} AS fields FROM {LOG} WHERE {where}")
    return [int(one["fields"]) for one in found]


def _where(relation: int, migration: int, since: int | None, until: int | None) -> str:
    words = [f"migration = {migration}", f"relation = {relation}"]
    words += [f"seq >= {since}"] if since is not None else []
    words += [f"seq < {until}"] if until is not None else []
    return " AND ".join(words)


def _select(target: Target, piece: _Piece) -> str:
    known, old, new = _fields(target, piece.relation, piece.attnums)
    where = _where(piece.relation, piece.migration, piece.since, piece.until)
    if piece.counted:
        where += f" AND {_COUNT} = {piece.fields}"
    kind = texts(piece.fields)
    # OFFSET 0: else PostgreSQL would read the record anew for each of its columns.
    return (
        f"SELECT seq, CASE WHEN was THEN {old} END AS old, CASE WHEN is_ THEN {new} END AS new, "
        f"{known} AS known, old_xmin, new_xmin FROM (SELECT seq, old IS NOT NULL AS was, new IS NOT NULL AS is_, "
        f"old::{kind} AS o, new::{kind} AS n, old_xmin, new_xmin FROM {LOG} WHERE {where} OFFSET 0) s"
    )


def _truncated(target: Target, copy: dict[str, Any]) -> str:
    """Rows that a TRUNCATE dropped are like deleted ones."""
    known, old, _ = _fields(target, copy["relation"], copy["attnums"])
    kind, path = texts(len(copy["attnums"])), ident(HIDDEN_SCHEMA, copy["copy"])
    return (
        f"SELECT {copy['at']}::bigint AS seq, {old} AS old, NULL::text[] AS new, {known} AS known, s.written_by AS old_xmin, "
        "NULL::text AS new_xmin "
        f"FROM (SELECT image::{kind} AS o, written_by FROM {path} OFFSET 0) s"
    )


def _fields(target: Target, relation: int, attnums: Sequence[int | None]) -> tuple[str, str, str]:
    """SQL: the positions of the columns that images have; the old image and the new one, in the target's order."""
    positions = target.positions[relation]
    place = {
        positions[attnum]: n
        for n, attnum in enumerate(attnums, 1)
        if attnum is not None and attnum in positions
    }
    known = f"'{{{','.join(str(i + 1) for i in sorted(place))}}}'::int2[]"
    old, new = (
        "ARRAY["
        + ", ".join(f"(s.{part}).c{place[i]}" if i in place else "NULL" for i in range(target.width))
        + "]::text[]"
        for part in ("o", "n")
    )
    return known, old, new
