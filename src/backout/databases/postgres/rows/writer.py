"""Writes rows of the kept database into the live one, and finds the ones that it does not take one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from backout.databases.postgres.rows.guards import Trigger, firing_triggers, switch_triggers
from backout.databases.postgres.rows.sequences import advance, column_sequences
from backout.databases.postgres.rows.statements import insertion, overwriting, written_columns
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from backout.databases.postgres.rows.sequences import ColumnSequence
    from backout.databases.postgres.rows.tables import Pair

# Rows that go in by one statement; where one of them is refused, in how many pieces they are tried again: 500, 25, 1.
_AT_ONCE = 500
_PIECES = 20
# A row may be large: of large ones fewer go into one statement, and are in memory.
_CHARACTERS_AT_ONCE = 1_000_000
# The row is what the server refuses, not the statement: data, constraint, check option, index entry too large,
# an error that a function raised. Source: PostgreSQL 15 documentation, appendix A.
_ROW_IS_WRONG = ("22", "23", "44", "54", "P0")
_MISSING_PARENT = "23503"
# Their details name the value of the key; those of a check name the whole row.
_DETAIL_IS_A_KEY = ("23505", "23503", "23P01")


class Row(NamedTuple):
    """A row of the kept database: its key as people read it, where it lies, and its place in the order of keys."""

    text: str
    table: int
    place: str
    number: int = 0

    @property
    def place_of(self) -> tuple[int, str]:
        """Where it lies: the table or partition, and the place in it."""
        return self.table, self.place


class Refusal(NamedTuple):
    """Why the live database did not take a row."""

    sqlstate: str
    reason: str


Given = tuple[Row, tuple[str | None, ...]]
"""A row, and its values as text."""


@dataclass
class Writer:
    """Writes rows into one table, inside the transaction of `live`."""

    kept: psycopg.Connection[Any]
    live: psycopg.Connection[Any]
    pair: Pair
    inserted: int = 0
    updated: int = 0
    conflicts: list[Message] = field(default_factory=list)
    _orphans: list[tuple[Row, Refusal]] = field(default_factory=list)
    _largest: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _triggers: list[Trigger] | None = None
    _sequences: list[ColumnSequence] = field(default_factory=list)
    _backwards: bool = False

    def insert(self, rows: list[Row]) -> None:
        """Insert these rows; those whose parent is missing wait for `retry` and `together`."""
        self._begin()
        statement = insertion(self.live, self.pair)
        self.inserted += self._write(rows, statement, self._orphan)

    def update(self, rows: list[Row]) -> None:
        """Overwrite the live rows of these keys."""
        self._begin()
        statement = overwriting(self.live, self.pair)
        if statement is None:
            for row in rows:
                self.conflict(row, "only columns differ that cannot be written")
            return
        self.updated += self._write(rows, statement, self._refused)

    def conflict(self, row: Row, reason: str) -> None:
        """Note a row that is not brought."""
        self.conflicts.append(msg("{key}: {reason}", key=row.text, reason=reason))

    @property
    def waits(self) -> int:
        """How many rows wait for a parent."""
        return len(self._orphans)

    def retry(self) -> int:
        """Try once more to insert what waits; return how many rows came."""
        waiting, self._orphans = self._orphans, []
        before = self.inserted
        # The other way round each time: a chain of parents is in the order of the key, or against it.
        self._backwards = not self._backwards
        if waiting:
            self.insert(sorted((r for r, _ in waiting), key=lambda r: r.number, reverse=self._backwards))
        return self.inserted - before

    def together(self) -> bool:
        """Insert all that waits, or find that one of the rows is refused; counted only by `came`."""
        statement, rows = insertion(self.live, self.pair), [row for row, _ in self._orphans]
        with closing(self._given(rows)) as parts:
            return all(self._together(given, statement) is None for given in parts)

    def came(self) -> None:
        """Count what waited as inserted."""
        self.inserted, self._orphans = self.inserted + self.waits, []

    def finish(self, *, advance_sequences: bool) -> None:
        """Name what still waits, put triggers back, and let sequences follow."""
        for row, refusal in self._orphans:
            self._refused(row, refusal)
        self._orphans = []
        switch_triggers(self.live, self._triggers or [], on=True)
        if advance_sequences:
            for sequence in self._sequences:
                if sequence.column in self._largest:
                    advance(self.live, sequence, self._largest[sequence.column])

    def _begin(self) -> None:
        """Before the first row: only then is the table locked, and only if it has triggers."""
        if self._triggers is None:
            assert self.pair.live is not None
            self._triggers = firing_triggers(self.live, self.pair)
            switch_triggers(self.live, self._triggers, on=False)
            self._sequences = column_sequences(self.live, self.pair.live.oid)

    def _orphan(self, row: Row, refusal: Refusal) -> None:
        if refusal.sqlstate == _MISSING_PARENT:
            self._orphans.append((row, refusal))
        else:
            self._refused(row, refusal)

    def _refused(self, row: Row, refusal: Refusal) -> None:
        self.conflict(row, refusal.reason)

    def _write(self, rows: list[Row], statement: sql.SQL, refused: Callable[[Row, Refusal], None]) -> int:
        with closing(self._given(rows)) as parts:
            return sum(self._some(given, statement, refused) for given in parts)

    def _some(self, given: list[Given], statement: sql.SQL, refused: Callable[[Row, Refusal], None]) -> int:
        """Write what can be written of these rows; return how many rows that was.

        All by one statement or, where one of them is refused, in pieces: many refused rows cost one statement each.
        """
        refusal = self._together(given, statement)
        if refusal is None:
            return len(given)
        if len(given) == 1:
            refused(given[0][0], refusal)
            return 0
        size = max(1, len(given) // _PIECES)
        pieces = (given[at : at + size] for at in range(0, len(given), size))
        return sum(self._some(piece, statement, refused) for piece in pieces)

    def _together(self, given: list[Given], statement: sql.SQL) -> Refusal | None:
        """Write all of these rows, or none: then return why one of them was refused."""
        import psycopg

        values = [texts for _, texts in given]
        columns: list[Any] = [list(column) for column in zip(*values, strict=True)] or [len(values)]
        try:
            with self.live.transaction() as inner:
                written = self.live.execute(statement, columns).rowcount
                if written != len(given):
                    raise psycopg.Rollback(inner)
        except psycopg.Error as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            return refusal
        if written != len(given):
            return Refusal("", "the table did not take it, and did not say why")
        for texts in values:
            self._note_largest(texts)
        return None

    def _note_largest(self, texts: tuple[str | None, ...]) -> None:
        """Note the largest number of each column that a sequence fills."""
        columns = written_columns(self.pair)
        for sequence in self._sequences:
            text = texts[columns.index(sequence.column)] if sequence.column in columns else None
            if text is not None and text.lstrip("-").isdigit():
                self._largest[sequence.column] = max(self._largest[sequence.column], int(text))

    def _given(self, rows: list[Row]) -> Generator[list[Given], None, None]:
        """Yield these rows with their values, as many at a time as go into one statement, each time in their order."""
        for at in range(0, len(rows), _AT_ONCE):
            part = rows[at : at + _AT_ONCE]
            order = {row.place_of: n for n, row in enumerate(part)}
            with closing(self._values(part)) as values:
                for given in _statements_worth(values):
                    yield sorted(given, key=lambda one: order[one[0].place_of])

    def _values(self, rows: list[Row]) -> Generator[Given, None, None]:
        """Yield these rows with their values as text, in the order in which they lie in the kept database."""
        from psycopg import sql

        assert self.pair.kept is not None
        by_place = {row.place_of: row for row in rows}
        columns = [
            sql.SQL("{}::text").format(sql.Identifier("t", name)) for name in written_columns(self.pair)
        ]
        text = "SELECT {} FROM {} AS t WHERE t.tableoid = {}::oid AND t.ctid = ANY({}::tid[])"
        for table in sorted({row.table for row in rows}):
            places = [row.place for row in rows if row.table == table]
            query = sql.SQL(text).format(
                sql.SQL(", ").join([sql.SQL("t.ctid::text"), *columns]),
                self.pair.kept.source,
                sql.Literal(table),
                sql.Literal(places),
            )
            # One row after the other, whatever its size.
            copy_out = sql.SQL("COPY ({}) TO STDOUT").format(query)
            with self.kept.cursor() as cursor, cursor.copy(copy_out) as copy:
                try:
                    for place, *given in copy.rows():
                        yield by_place[(table, place)], tuple(given)
                finally:
                    for _ in (
                        copy.rows()
                    ):  # Hazard: what is not read to its end is cancelled, and the snapshot lost.
                        pass


def refusal_of(error: psycopg.Error) -> Refusal | None:
    """Return why the row is what the server refuses; None: it refuses something else."""
    if (error.sqlstate or "")[:2] not in _ROW_IS_WRONG:
        return None
    return Refusal(error.sqlstate or "", _reason(error))


def _statements_worth(values: Iterable[Given]) -> Iterator[list[Given]]:
    """Gather rows until they are a statement's worth; a large row goes alone."""
    some: list[Given] = []
    characters = 0
    for row, texts in values:
        more = _characters(texts)
        if some and characters + more > _CHARACTERS_AT_ONCE:
            yield some
            some, characters = [], 0
        some.append((row, texts))
        characters += more
    if some:
        yield some


def _characters(texts: Iterable[str | None]) -> int:
    return sum(len(text) for text in texts if text is not None)


def _reason(error: psycopg.Error) -> str:
    primary, detail = error.diag.message_primary or type(error).__name__, error.diag.message_detail
    return f"{primary} ({detail})" if detail and error.sqlstate in _DETAIL_IS_A_KEY else primary
