"""What has to be after a way: reckoned from what the tables had just before, and which columns stayed, went and came.

Which ones they are is not asked of the engine: the same migration, run as it is on another database, tells it by PostgreSQL's own numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg

from .look import Column, Look, Table

Row = dict[str, str | None]
Rows = dict[str, dict[str, Row]]
"""By table, by what its rows are told apart by, by column."""


class Anything(frozenset[str | None]):
    """A value nothing is said about."""

    def __contains__(self, one: object) -> bool:
        return True


ANY = Anything(("", None))
Cell = frozenset[str | None]


@dataclass
class Expected:
    """A row that has to be, or may be."""

    cells: dict[str, Cell]
    may_be_gone: bool = False


Wanted = dict[str, dict[str, Expected]]

UNTOLD: dict[str, Expected] = {}
"""Rows nothing is said about."""


def rows_in(connection: psycopg.Connection[Any], look: Look) -> Rows:
    """Return what every table has."""
    found: Rows = {}
    for table in look.tables:
        names = ", ".join(f"{c.sql}::text" for c in table.columns)
        rows = connection.execute(f"SELECT {names} FROM {table.path}".encode()).fetchall() if names else []
        listed: dict[str, Row] = {}
        for row in rows:
            key = str(row[0])
            while key in listed:
                key += "'"
            listed[key] = {c.name: value for c, value in zip(table.columns, row, strict=True)}
        found[table.path] = listed
    return found


def certain(rows: Rows) -> Wanted:
    return {
        path: {key: Expected({c: frozenset((v,)) for c, v in row.items()}) for key, row in listed.items()}
        for path, listed in rows.items()
    }


def differences(wanted: Wanted, rows: Rows) -> Iterator[tuple[str, str, str]]:
    """Yield table, column (or nothing) and what is wrong."""
    for path in sorted(wanted.keys() | rows.keys()):
        if path not in rows or path not in wanted:
            yield path, "", f"{path} is {'not there' if path in wanted else 'there'}"
            continue
        if wanted[path] is UNTOLD:
            continue
        for key in sorted(wanted[path].keys() | rows[path].keys()):
            expected, row = wanted[path].get(key), rows[path].get(key)
            if expected is None:
                yield path, "", f"{path} has row {key}: {row}"
            elif row is None:
                if not expected.may_be_gone:
                    yield (
                        path,
                        "",
                        f"{path} has no row {key}: { {c: set(v) for c, v in expected.cells.items()} }",
                    )
            else:
                for column, cell in expected.cells.items():
                    if column not in row:
                        yield path, column, f"{path} has no column {column}"
                    elif row[column] not in cell:
                        yield (
                            path,
                            column,
                            f"{path} row {key} has {row[column]!r} in {column}, not {sorted(map(repr, cell))}",
                        )


@dataclass
class Pair:
    """A table before and after a migration, and its columns."""

    old: Table
    new: Table
    stayed: list[tuple[Column, Column]] = field(default_factory=list)
    retyped: list[tuple[Column, Column]] = field(default_factory=list)
    gone: list[Column] = field(default_factory=list)
    made: list[Column] = field(default_factory=list)

    def labels(self, old: Column, new: Column) -> dict[str | None, str | None]:
        """Return the earlier name of every later label of an enum: they keep their places."""
        return dict(zip(new.labels, old.labels, strict=False))


@dataclass
class Model:
    """One migration: what it did to columns and rows, and what is hidden of it.

    Attributes:
        before: What the plain database had before it.
        after: What it had after it.
        was: Rows just before it.
        became: Rows just after it.
        text: Its statements.
        old_then: Rows right after its last way back.
        new_then: Rows right after it was made the last time.
    """

    before: Look
    after: Look
    was: Rows
    became: Rows
    text: str
    pairs: list[Pair] = field(init=False)
    gone: list[Table] = field(init=False)
    made: list[Table] = field(init=False)
    old_hidden: Wanted = field(init=False)
    new_hidden: Wanted = field(default_factory=dict)
    old_then: Wanted = field(default_factory=dict)
    new_then: Wanted = field(init=False)

    def __post_init__(self) -> None:
        self.pairs = [
            _pair(one, two) for one in self.before.tables if (two := self.after.table(one.oid)) is not None
        ]
        stayed = {one.old.oid for one in self.pairs}
        self.gone = [one for one in self.before.tables if one.oid not in stayed]
        self.made = [one for one in self.after.tables if one.oid not in stayed]
        self.old_hidden, self.new_then = certain(self.was), certain(self.became)

    def back(self, now: Wanted) -> Wanted:
        """Return what has to be there after its way back, of what is there."""
        found: Wanted = {one.path: self.old_hidden.get(one.path, {}) for one in self.gone}
        for pair in self.pairs:
            rows: dict[str, Expected] = {}
            for key, row in now.get(pair.new.path, {}).items():
                if (one := self._row_back(pair, key, row)) is not None:
                    rows[key] = one
            was, became = self.was.get(pair.old.path, {}), self.became.get(pair.new.path, {})
            hidden = self.old_hidden.get(pair.old.path, {})
            for key in (was.keys() & hidden.keys()) - became.keys() - rows.keys():
                rows[key] = hidden[key]
            found[pair.old.path] = rows
        self.new_hidden = now
        self.old_then = _without_generated(found, self.before)
        return self.old_then

    def _row_back(self, pair: Pair, key: str, row: Expected) -> Expected | None:
        was = self.was.get(pair.old.path, {}).get(key)
        became = self.became.get(pair.new.path, {}).get(key)
        hidden = self.old_hidden.get(pair.old.path, {}).get(key)
        then = self.new_then.get(pair.new.path, {}).get(key)
        may_be_gone = row.may_be_gone
        if was is None and became is not None:
            if all(cell == {became.get(c)} for c, cell in row.cells.items() if cell is not ANY):
                return None
            may_be_gone = may_be_gone or all(became.get(n.name) in row.cells[n.name] for _, n in pair.stayed)
        cells: dict[str, Cell] = {}
        for old, new in pair.stayed:
            cell, to = row.cells[new.name], pair.labels(old, new)
            if (
                was is not None
                and became is not None
                and to.get(became[new.name], became[new.name]) != was[old.name]
            ):
                if cell == {became[new.name]}:
                    cell = frozenset((was[old.name],))
                elif became[new.name] in cell:
                    cell = ANY
            if old.not_null and not new.not_null and None in cell:
                cell = ANY  # it gets the answer
            cells[old.name] = cell if cell is ANY else frozenset(to.get(one, one) for one in cell)
        for old, new in pair.retyped:
            unchanged = then is not None and _same(row.cells[new.name], then.cells[new.name])
            cells[old.name] = hidden.cells[old.name] if hidden is not None and unchanged else ANY
        for old in pair.gone:
            cells[old.name] = hidden.cells[old.name] if hidden is not None else ANY
        return Expected(cells, may_be_gone)

    def forget_new(self) -> None:
        """Say nothing of what is in its new columns and tables: a later migration, which went back with it, wrote there too."""
        for pair in self.pairs:
            for row in self.new_hidden.get(pair.new.path, {}).values():
                row.cells |= {one.name: ANY for one in pair.made}
        self.new_hidden |= {one.path: UNTOLD for one in self.made}

    def forth(self, now: Wanted) -> Wanted:
        """Return what has to be there when it is made again, of what is there."""
        found: Wanted = {one.path: self.new_hidden.get(one.path, {}) for one in self.made}
        for pair in self.pairs:
            rows: dict[str, Expected] = {}
            for key, row in now.get(pair.old.path, {}).items():
                if (one := self._row_forth(pair, key, row)) is not None:
                    rows[key] = one
            was, became = self.was.get(pair.old.path, {}), self.became.get(pair.new.path, {})
            hidden = self.new_hidden.get(pair.new.path, {})
            for key in became.keys() - was.keys() - rows.keys():
                if key in hidden and key not in self.old_then.get(pair.old.path, {}):
                    rows[key] = hidden[key]
            found[pair.new.path] = rows
        self.old_hidden = now
        self.new_then = _without_generated(found, self.after)
        return self.new_then

    def _row_forth(self, pair: Pair, key: str, row: Expected) -> Expected | None:
        was = self.was.get(pair.old.path, {}).get(key)
        became = self.became.get(pair.new.path, {}).get(key)
        hidden = self.new_hidden.get(pair.new.path, {}).get(key)
        then = self.old_then.get(pair.old.path, {}).get(key)
        untouched = then is not None and all(_same(row.cells[c], cell) for c, cell in then.cells.items())
        may_be_gone = row.may_be_gone
        if was is not None and became is None and hidden is None:
            if untouched:
                return None
            may_be_gone = may_be_gone or then is None or any(cell is ANY for cell in then.cells.values())
        cells: dict[str, Cell] = {}
        for old, new in pair.stayed:
            cell, to = row.cells[old.name], {v: k for k, v in pair.labels(old, new).items()}
            if (
                was is not None
                and became is not None
                and to.get(was[old.name], was[old.name]) != became[new.name]
            ):
                # What the migration wrote, and its way back took away, comes again where nobody has written since.
                taken = hidden is not None and hidden.cells[new.name] == {became[new.name]}
                if was[old.name] in cell:
                    cell = frozenset((became[new.name],)) if taken and len(cell) == 1 else ANY
            if new.not_null and not old.not_null and None in cell:
                cell = ANY  # it gets the default
            cells[new.name] = cell if cell is ANY else frozenset(to.get(one, one) for one in cell)
        for old, new in pair.retyped:
            same = then is not None and _same(row.cells[old.name], then.cells[old.name])
            cells[new.name] = hidden.cells[new.name] if hidden is not None and same else ANY
        for new in pair.made:
            known = hidden is not None and (untouched or "UPDATE" not in self.text)
            cells[new.name] = hidden.cells[new.name] if hidden is not None and known else ANY
        return Expected(cells, may_be_gone)


def without_numbers(wanted: Wanted, look: Look) -> Wanted:
    """Leave out what sequences gave, and what is computed of it: statements that were tried have taken numbers."""
    for table in look.tables:
        if any(column.numbers_itself for column in table.columns):
            for row in wanted.get(table.path, {}).values():
                row.cells |= {c.name: ANY for c in table.columns if c.numbers_itself or c.generated}
    return wanted


def _same(one: Cell, other: Cell) -> bool:
    return one == other and len(one) == 1


def _pair(old: Table, new: Table) -> Pair:
    found = Pair(old, new)
    for one in old.columns:
        other = new.column(one.number)
        if other is None:
            found.gone.append(one)
        elif one.type_oid != other.type_oid or (
            one.type != other.type and not one.labels and one.kind == "b"
        ):
            found.retyped.append((one, other))
        else:
            found.stayed.append((one, other))
    found.made = [one for one in new.columns if old.column(one.number) is None]
    return found


def _without_generated(wanted: Wanted, look: Look) -> Wanted:
    """PostgreSQL computes them: what they have is asked of it in another way."""
    for table in look.tables:
        for column in table.columns:
            if column.generated:
                for row in wanted.get(table.path, {}).values():
                    row.cells[column.name] = ANY
    return wanted
