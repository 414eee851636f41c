"""What a way back has lost or made wrong: held against what each row was, became and has become since.

Which column became which is not asked of the engine: the same migration, run as it is on a copy of the database, tells it
by PostgreSQL's own numbers, which stay through renames.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from backout.databases.postgres.generated.look import Column, Look, Table
from backout.databases.postgres.generated.seen import Row, Seen

_Key = tuple[str | None, ...]
_LABEL = re.compile(r'[^{},"]+')


@dataclass(frozen=True, slots=True)
class Readings:
    """What was read.

    Attributes:
        was: The tables of a copy without backout, before the migration.
        became: Those of the same copy after it.
        before: Rows before the migration.
        made: Rows right after it.
        since: Rows right before the way back.
        back: Rows after the way back.
        left: Dropped tables of which it was told that they come back as they were, without quotes.
        brought: Dropped tables of which it was told that they get what was written to another one, and that one.
    """

    was: Look
    became: Look
    before: Seen
    made: Seen
    since: Seen
    back: Seen
    left: frozenset[str] = frozenset()
    brought: Mapping[str, str] = field(default_factory=dict)


class Wrong(NamedTuple):
    """A row or value that is not as it has to be; `said` never has a value in it, as rows may be somebody's."""

    table: str
    column: str | None
    said: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """A table before and after the migration.

    Attributes:
        stayed: Columns that are of the same type before and after, by both names.
        retyped: Those that changed it.
        gone: Those that are not there any more.
        key: Names before and after of what tells its rows apart.
        labels: By names after of columns of enums: what labels that were renamed were called before.
    """

    old: Table
    new: Table
    stayed: dict[str, str]
    retyped: dict[str, str]
    gone: tuple[str, ...]
    key: dict[str, str]
    widened: frozenset[str]
    labels: dict[str, dict[str, str]]


def wrong_rows(read: Readings) -> list[Wrong]:
    """Return every row and value that a way back lost or made wrong, and every row that should not be there.

    Nothing is demanded of a value that nobody can know: that of a column which the release did not have, in a row that was written
    meanwhile; and one that was changed in another type.
    """
    found: list[Wrong] = []
    for table in read.was.tables.values():
        if table.path not in read.back.rows:
            found.append(Wrong(table.path, None, "the table is not there"))
        elif table.oid in read.became.tables:
            found += _kept(_pair(table, read), read)
        elif (pair := _built_anew(table, read) or _taken_over(table, read)) is not None:
            found += _kept(pair, read)
        else:
            found += _dropped(table, read)
    return found


def _dropped(table: Table, read: Readings) -> Iterator[Wrong]:
    """A table that was dropped comes back as it was."""
    wanted, there = _counted(read.before.rows[table.path]), _counted(read.back.rows[table.path])
    lost = sum(max(0, n - there.get(row, 0)) for row, n in wanted.items())
    more = sum(max(0, n - wanted.get(row, 0)) for row, n in there.items())
    if lost:
        yield Wrong(table.path, None, f"{lost} rows of the dropped table are not there as they were")
    if more:
        yield Wrong(table.path, None, f"{more} rows are there that the dropped table did not have")


def _counted(rows: Sequence[Row]) -> dict[tuple[tuple[str, str | None], ...], int]:
    found: dict[tuple[tuple[str, str | None], ...], int] = {}
    for row in rows:
        one = tuple(sorted(row.items()))
        found[one] = found.get(one, 0) + 1
    return found


def _pair(old: Table, read: Readings) -> _Pair:
    new = read.became.tables[old.oid]
    after = {c.number: c for c in new.columns}
    both = [(c, after[c.number]) for c in old.columns if c.number in after]
    # PostgreSQL keeps the number when a type changes; what Prisma and others drop and add again is another column.
    stayed = {c.name: d.name for c, d in both if _same_type(c, d)}
    names = {c.name: d.name for c, d in both}
    whole = {c.name for c in new.columns if c.not_null}
    keys = [key for key in old.keys if set(key) <= names.keys() and _not_null(old, key)]
    # Without a key the rows are told apart by all that stayed; rows alike count together.
    key = keys[0] if keys else tuple(stayed)
    return _Pair(
        old,
        new,
        stayed,
        {name: to for name, to in names.items() if name not in stayed},
        tuple(c.name for c in old.columns if c.number not in after),
        {name: names[name] for name in key},
        frozenset(c.name for c, d in both if c.not_null and d.name not in whole),
        {d.name: called for _c, d in both if (called := _renamed_labels(d.type, read))},
    )


def _built_anew(old: Table, read: Readings) -> _Pair | None:
    """Pair a dropped table with the one that has its name, and its rows with the same values; None: there is no such one.

    What is written to that one is what code writes to the table that it knows.
    """
    new = next((one for one in read.became.tables.values() if one.path == old.path), None)
    if new is None or new.oid in read.was.tables or _bare(old.path) in read.left:
        return None
    after = {c.name: c for c in new.columns}
    both = [(c, after[c.name]) for c in old.columns if c.name in after]
    stayed = {c.name: c.name for c, d in both if _same_type(c, d)}
    key = next((key for key in old.keys if set(key) <= stayed.keys() and _not_null(old, key)), None)
    if key is None or set(key) not in [set(one) for one in new.keys]:
        return None
    before, made = (_by(one.rows[old.path], key) for one in (read.before, read.made))
    carried = [(before[one], made[one]) for one in before.keys() & made.keys()]
    if not carried or any(was[name] != row[name] for was, row in carried for name in stayed):
        return None
    return _Pair(
        old,
        new,
        stayed,
        {c.name: c.name for c, _d in both if c.name not in stayed},
        tuple(c.name for c in old.columns if c.name not in after),
        {name: name for name in key},
        frozenset(c.name for c, d in both if c.not_null and not d.not_null),
        {},
    )


def _taken_over(old: Table, read: Readings) -> _Pair | None:
    """Pair a dropped table with the one of which it was told to get the rows, where that has all of its keys and no others.

    Which columns are the key there is found out by what stands in them; of the others those of the same name and values are paired.
    """
    taker = read.brought.get(_bare(old.path))
    new = next((one for one in read.became.tables.values() if _bare(one.path) == taker), None)
    key = next((key for key in old.keys if _not_null(old, key)), None)
    if new is None or key is None:
        return None
    before, made = read.before.rows[old.path], read.made.rows[new.path]
    wanted, columns = set(_by(before, key)), {c.name: c for c in old.columns}
    alike = [[d.name for d in new.columns if _same_type(columns[name], d)] for name in key]
    places = [
        one
        for one in product(*alike)
        if len(set(one)) == len(one)
        and set(one) in [set(unique) for unique in new.keys]
        and set(_by(made, one)) == wanted
    ]
    if len(places) != 1 or not wanted:
        return None
    names = dict(zip(key, places[0], strict=True))
    ours, theirs = _by(before, key), _by(made, places[0])
    stayed = names | {
        c.name: d.name
        for c in old.columns
        for d in new.columns
        if c.name == d.name
        and c.name not in names
        and d.name not in names.values()
        and _same_type(c, d)
        and all(ours[one][c.name] == theirs[one][d.name] for one in wanted)
    }
    gone = tuple(c.name for c in old.columns if c.name not in stayed)
    return _Pair(old, new, stayed, {}, gone, names, frozenset(), {})


def _bare(path: str) -> str:
    return path.replace('"', "")


def _renamed_labels(type_: int, read: Readings) -> dict[str, str]:
    """Return what the renamed labels of an enum, or of what an array is of, were called before, by what they are called after."""
    was, now = read.was.types.get(type_), read.became.types.get(type_)
    if was is None or now is None:
        return {}
    if now.element:
        return _renamed_labels(now.element, read)
    before = dict(zip(was.label_oids, was.labels, strict=True))
    after = zip(now.label_oids, now.labels, strict=True)
    return {label: before[oid] for oid, label in after if before.get(oid, label) != label}


def _same_type(one: Column, other: Column) -> bool:
    return (one.type, one.modifier) == (other.type, other.modifier)


def _not_null(table: Table, key: Sequence[str]) -> bool:
    return set(key) <= {c.name for c in table.columns if c.not_null}


def _by(rows: Sequence[Row], names: Sequence[str]) -> dict[_Key, Row]:
    """Return rows by what tells them apart; rows alike get a number."""
    found: dict[_Key, Row] = {}
    for row in rows:
        key: _Key = tuple(row[name] for name in names)
        while key in found:
            key = (*key, "again")
        found[key] = row
    return found


def _kept(pair: _Pair, read: Readings) -> Iterator[Wrong]:
    """Compare a table that was there before, and after."""
    path = pair.old.path
    before, back = (_by(one.rows[path], list(pair.key)) for one in (read.before, read.back))
    made, since = (
        _by([_as_before(row, pair) for row in one.rows[pair.new.path]], list(pair.key.values()))
        for one in (read.made, read.since)
    )
    moved = _moved(pair, before, made)
    made, since = ({moved.get(key, key): row for key, row in rows.items()} for rows in (made, since))
    rekeyed = any(name in pair.retyped for name in pair.key)
    for key in before.keys() | since.keys():
        there = back.get(key)
        if key in before and (key in since or key not in made):
            # What the migration deleted comes back; what was deleted since stays away.
            if there is None:
                if not (rekeyed and key in since and key not in made):
                    yield Wrong(path, None, "a row is not there that has to be")
            else:
                yield from _cells(pair, before[key], made.get(key), since.get(key), there)
        elif key in before:
            if there is not None:
                yield Wrong(path, None, "a row is there again that was deleted since")
        elif key in made and since.get(key) == made[key]:
            if there is not None and not rekeyed:
                yield Wrong(path, None, "a row is still there that the migration had made")
        elif key not in made:
            if there is None:
                if not rekeyed:
                    yield Wrong(path, None, "a row is not there that was written since")
            else:
                yield from _cells(pair, None, None, since[key], there)
    for _key in back.keys() - before.keys() - since.keys():
        if not rekeyed:
            yield Wrong(path, None, "a row is there that nobody has written")


def _as_before(row: Row, pair: _Pair) -> Row:
    """Return a row of the later release with its labels as they were called before."""
    return row | {name: _relabelled(row[name], called) for name, called in pair.labels.items()}


def _relabelled(value: str | None, called: Mapping[str, str]) -> str | None:
    if value is None or not value.startswith("{"):
        return value if value is None else called.get(value, value)
    return _LABEL.sub(lambda found: called.get(found[0], found[0]), value)


def _moved(pair: _Pair, before: Mapping[_Key, Row], made: Mapping[_Key, Row]) -> dict[_Key, _Key]:
    """Return the earlier keys of rows to which the migration gave another one, told by what it left in them."""
    others = {name: after for name, after in pair.stayed.items() if name not in pair.key}
    new = [key for key in made if key not in before]
    found: dict[_Key, _Key] = {}
    for key in [key for key in before if key not in made] if others else ():
        left = [before[key][name] for name in others]
        there = [one for one in new if [made[one][after] for after in others.values()] == left]
        if len(there) == 1 and there[0] not in found:
            found[there[0]] = key
    return found


def _cells(
    pair: _Pair, before: Row | None, made: Row | None, since: Row | None, there: Row
) -> Iterator[Wrong]:
    path = pair.old.path
    for name, after in pair.stayed.items():
        changed = since is not None and (made is None or since[after] != made[after])
        wanted: Mapping[str, str | None] | None = {name: since[after]} if since and changed else before
        if wanted is None or wanted[name] == there.get(name):
            continue
        if wanted[name] is None and name in pair.widened:
            continue  # It gets the answer.
        whose = "was written since" if changed else "it had before"
        yield Wrong(path, name, f"a row has not the value that {whose}")
    computed = {c.name for c in pair.old.columns if c.generated}
    untouched = [
        # What PostgreSQL computes follows what was written since.
        *(name for name in pair.gone if name not in computed or made == since),
        *(
            n
            for n, after in pair.retyped.items()
            if made is None or since is None or made[after] == since[after]
        ),
    ]
    for name in untouched if before is not None else ():
        if before is not None and before[name] != there.get(name):
            yield Wrong(path, name, "a row has not the value that it had before")
