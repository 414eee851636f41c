"""Writes rows of the kept database into the live one, and finds the ones that it does not take one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from backout.databases.postgres.rows.guards import Trigger, firing_triggers, switch_triggers
from backout.databases.postgres.rows.sequences import advance, column_sequences
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from backout.databases.postgres.rows.sequences import ColumnSequence
    from backout.databases.postgres.rows.tables import Pair

_AT_ONCE = 500
# No name can have it.
_VALUE = "\0"
# A row may be large: few of them are in memory.
_FETCHED_AT_ONCE = 20
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
        parts = list(_parts(rows))
        for part in reversed(parts) if self._backwards else parts:
            self.inserted += self._some(part, self._insertion(), self._orphan)

    def update(self, rows: list[Row]) -> None:
        """Overwrite the live rows of these keys."""
        self._begin()
        statement = self._overwriting()
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

        Rows up to the first one that is refused are written a second time, so it is at most twice for each.
        """
        written, waiting = 0, [[row] for row in reversed(rows)] if self._backwards else [rows]
        while waiting:
            part = waiting.pop(0)
            done, failed, refusal = self._attempt(part, statement)
            if failed is None or refusal is None:
                written += len(done)
                continue
            refused(failed, refusal)
            again = {row.place_of for row in done}
            rest = [row for row in part if row.place_of not in again and row != failed]
            waiting = [p for p in (done, rest) if p] + waiting
        return written

    def _attempt(self, rows: list[Row], statement: sql.SQL) -> tuple[list[Row], Row | None, Refusal | None]:
        """Write all of these rows or none; returns those that were taken, and the one that was not, and why."""
        import psycopg

        largest: dict[str, int] = defaultdict(int)
        done: list[Row] = []
        row: Row | None = None
        refusal: Refusal | None = None
        try:
            with self.live.transaction() as inner, closing(self._values(rows)) as values:
                for row, given in values:
                    if self.live.execute(statement, given).rowcount != 1:
                        refusal = Refusal("", "the table did not take it, and did not say why")
                        raise psycopg.Rollback(inner)
                    self._note_largest(given, largest)
                    done.append(row)
        except psycopg.Error as error:
            refusal = refusal_of(error)
            if row is None or refusal is None:
                raise
        if refusal is not None:
            return done, row, refusal
        for column, value in largest.items():
            self._largest[column] = max(self._largest[column], value)
        return done, None, None

    def _note_largest(self, given: tuple[Any, ...], largest: dict[str, int]) -> None:
        """Note the largest number of each column that a sequence fills."""
        columns = self._written()
        for sequence in self._sequences:
            text = given[columns.index(sequence.column)] if sequence.column in columns else None
            if text is not None and text.lstrip("-").isdigit():
                largest[sequence.column] = max(largest[sequence.column], int(text))

    def _values(self, rows: list[Row]) -> Generator[tuple[Row, tuple[Any, ...]], None, None]:
        """Yield these rows with their values as text, in the order in which they lie in the kept database."""
        from psycopg import sql

        assert self.pair.kept is not None
        by_place = {row.place_of: row for row in rows}
        columns = [sql.SQL("{}::text").format(sql.Identifier("t", name)) for name in self._written()]
        text = "SELECT {} FROM {} AS t WHERE t.tableoid = {}::oid AND t.ctid = ANY({}::tid[])"
        for table in sorted({row.table for row in rows}):
            places = [row.place for row in rows if row.table == table]
            query = sql.SQL(text).format(
                sql.SQL(", ").join([sql.SQL("t.ctid::text"), *columns]),
                self.pair.kept.source,
                sql.Literal(table),
                sql.Literal(places),
            )
            with self.kept.cursor("backout_values") as cursor:
                cursor.itersize = _FETCHED_AT_ONCE
                cursor.execute(query)
                for place, *given in cursor:
                    yield by_place[(table, place)], tuple(given)

    def _written(self) -> list[str]:
        """Return the columns that rows are made of: in both, and not generated in the live one."""
        assert self.pair.live is not None
        return [name for name in self.pair.columns if not self.pair.live.columns[name].generated]

    def _insertion(self) -> sql.SQL:
        from psycopg import sql

        assert self.pair.live is not None
        columns = self._written()
        if not columns:
            return self._filled(sql.SQL("INSERT INTO {} DEFAULT VALUES").format(self._name()))
        text = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
            self._name(),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(self._given(name) for name in columns),
        )
        return self._filled(text)

    def _overwriting(self) -> sql.SQL | None:
        """Return the statement that makes a live row equal; None: there is nothing that may be set."""
        from psycopg import sql

        assert self.pair.live is not None
        shapes = self.pair.live.columns
        columns = [n for n in self._written() if n not in self.pair.key and not shapes[n].always_identity]
        if not columns:
            return None
        given = sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(self._given(name), sql.Identifier(name)) for name in self._written()
        )
        text = sql.SQL("UPDATE {} AS t SET {} FROM (SELECT {}) AS v WHERE {}").format(
            self.pair.live.source,
            sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(n), sql.Identifier("v", n)) for n in columns
            ),
            given,
            same_key(self.pair, "v"),
        )
        return self._filled(text)

    def _given(self, name: str) -> sql.Composed:
        from psycopg import sql

        assert self.pair.live is not None
        # As text first: then it is the type's own input function that reads it.
        return sql.SQL("CAST({}::text AS {})").format(
            sql.SQL(_VALUE), sql.SQL(self.pair.live.columns[name].type)
        )

    def _filled(self, text: sql.Composed) -> sql.SQL:
        """Return a statement with its placeholders; a per cent sign in a name is none."""
        from psycopg import sql

        return sql.SQL(text.as_string(self.live).replace("%", "%%").replace(_VALUE, "%s"))

    def _name(self) -> sql.Identifier:
        from psycopg import sql

        assert self.pair.live is not None
        return sql.Identifier(self.pair.live.schema, self.pair.live.name)


def same_key(pair: Pair, other: str) -> sql.Composed:
    """Return SQL that joins a row `t` of the live table by its key, with the key's own idea of equality."""
    from psycopg import sql

    assert pair.live is not None
    return sql.SQL(" AND ").join(
        sql.SQL("{} OPERATOR({}.=) {}").format(
            sql.Identifier("t", name),
            sql.Identifier(pair.live.columns[name].equals),
            sql.Identifier(other, name),
        )
        for name in pair.key
    )


def refusal_of(error: psycopg.Error) -> Refusal | None:
    """Return why the row is what the server refuses; None: it refuses something else."""
    if (error.sqlstate or "")[:2] not in _ROW_IS_WRONG:
        return None
    return Refusal(error.sqlstate or "", _reason(error))


def _parts(rows: list[Row]) -> Iterator[list[Row]]:
    return (rows[at : at + _AT_ONCE] for at in range(0, len(rows), _AT_ONCE))


def _reason(error: psycopg.Error) -> str:
    primary, detail = error.diag.message_primary or type(error).__name__, error.diag.message_detail
    return f"{primary} ({detail})" if detail and error.sqlstate in _DETAIL_IS_A_KEY else primary
