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

# Rows that go in by one statement.
_AT_ONCE = 500
# A row may be large: of large ones fewer go into one statement.
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
        """Insert these rows; those whose parent is missing wait for `finish`."""
        self._begin()
        statement = insertion(self.live, self.pair)
        parts = list(_parts(rows))
        for part in reversed(parts) if self._backwards else parts:
            self.inserted += self._some(part, statement, self._orphan)

    def update(self, rows: list[Row]) -> None:
        """Overwrite the live rows of these keys."""
        self._begin()
        statement = overwriting(self.live, self.pair)
        if statement is None:
            for row in rows:
                self.conflict(row, "only columns differ that cannot be written")
            return
        self.updated += sum(self._some(part, statement, self._refused) for part in _parts(rows))

    def conflict(self, row: Row, reason: str) -> None:
        """Note a row that is not brought."""
        self.conflicts.append(msg("{key}: {reason}", key=row.text, reason=reason))

    def finish(self, *, advance_sequences: bool) -> None:
        """Insert what waited for a parent in the same table, put triggers back, and let sequences follow."""
        while self._orphans:
            waiting, self._orphans = self._orphans, []
            before = self.inserted
            # The other way round each time: a chain of parents is in the order of the key, or against it.
            self._backwards = not self._backwards
            self.insert(sorted((row for row, _ in waiting), key=lambda row: row.number))
            if self.inserted == before:
                break
        for row, refusal in self._orphans:
            self._refused(row, refusal)
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

    def _some(self, rows: list[Row], statement: sql.SQL, refused: Callable[[Row, Refusal], None]) -> int:
        """Write what can be written of these rows; return how many rows that was.

        All by one statement or, where one of them is refused, each half by itself.
        """
        refusal = self._together(rows, statement)
        if refusal is None:
            return len(rows)
        if len(rows) == 1:
            refused(rows[0], refusal)
            return 0
        half = len(rows) // 2
        halves = [rows[:half], rows[half:]]
        return sum(
            self._some(part, statement, refused) for part in (reversed(halves) if self._backwards else halves)
        )

    def _together(self, rows: list[Row], statement: sql.SQL) -> Refusal | None:
        """Write all of these rows, or none: then return why one of them was refused."""
        import psycopg

        largest: dict[str, int] = defaultdict(int)
        written = 0
        try:
            with self.live.transaction() as inner, closing(self._values(rows)) as values:
                for some in _statements_worth(values):
                    columns: list[Any] = [list(column) for column in zip(*some, strict=True)] or [len(some)]
                    written += self.live.execute(statement, columns).rowcount
                    for given in some:
                        self._note_largest(given, largest)
                if written != len(rows):
                    raise psycopg.Rollback(inner)
        except psycopg.Error as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            return refusal
        if written != len(rows):
            return Refusal("", "the table did not take it, and did not say why")
        self._take_largest(largest)
        return None

    def _take_largest(self, largest: dict[str, int]) -> None:
        for column, value in largest.items():
            self._largest[column] = max(self._largest[column], value)

    def _note_largest(self, given: tuple[Any, ...], largest: dict[str, int]) -> None:
        """Note the largest number of each column that a sequence fills."""
        columns = written_columns(self.pair)
        for sequence in self._sequences:
            text = given[columns.index(sequence.column)] if sequence.column in columns else None
            if text is not None and text.lstrip("-").isdigit():
                largest[sequence.column] = max(largest[sequence.column], int(text))

    def _values(self, rows: list[Row]) -> Generator[tuple[Row, tuple[Any, ...]], None, None]:
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


def _parts(rows: list[Row]) -> Iterator[list[Row]]:
    return (rows[at : at + _AT_ONCE] for at in range(0, len(rows), _AT_ONCE))


def _statements_worth(values: Iterable[tuple[Row, tuple[Any, ...]]]) -> Iterator[list[tuple[Any, ...]]]:
    """Gather values of rows until they are a statement's worth; a large row goes alone."""
    some: list[tuple[Any, ...]] = []
    characters = 0
    for _, given in values:
        more = _characters(given)
        if some and characters + more > _CHARACTERS_AT_ONCE:
            yield some
            some, characters = [], 0
        some.append(given)
        characters += more
    if some:
        yield some


def _characters(given: Iterable[str | None]) -> int:
    return sum(len(text) for text in given if text is not None)


def _reason(error: psycopg.Error) -> str:
    primary, detail = error.diag.message_primary or type(error).__name__, error.diag.message_detail
    return f"{primary} ({detail})" if detail and error.sqlstate in _DETAIL_IS_A_KEY else primary
