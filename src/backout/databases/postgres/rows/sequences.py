"""Sequences of a table that rows were brought to: no number that stands in it is given out again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

# Up to this many numbers the sequence is drawn forward one by one: other sessions may draw at the same time,
# and `setval` could put it back behind them.
_DRAW_AT_MOST = 10_000

# A sequence that a column owns (serial, identity), or that its default draws from.
_OF_COLUMNS = """
SELECT DISTINCT a.attname::text, n.nspname::text, s.relname::text, q.seqincrement, q.seqmax
FROM pg_attribute a
LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
JOIN pg_depend d ON
  (d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
     AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i'))
  OR (d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass)
JOIN pg_class s ON s.relkind = 'S'
  AND s.oid = CASE d.classid WHEN 'pg_attrdef'::regclass THEN d.refobjid ELSE d.objid END
JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_sequence q ON q.seqrelid = s.oid
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2, 3"""


@dataclass(frozen=True, slots=True)
class ColumnSequence:
    """A column's sequence; one that counts down is left alone."""

    column: str
    schema: str
    name: str
    increment: int
    largest: int


def column_sequences(live: psycopg.Connection[Any], oid: int) -> list[ColumnSequence]:
    """Return the sequences that count up for the columns of a table."""
    found = [ColumnSequence(*row) for row in live.execute(_OF_COLUMNS, (oid,)).fetchall()]
    return [sequence for sequence in found if sequence.increment > 0]


def advance(live: psycopg.Connection[Any], sequence: ColumnSequence, value: int) -> None:
    """Let the sequence give out nothing up to `value` any more; never sets it back. No transaction undoes this."""
    from psycopg import sql

    name = sql.Identifier(sequence.schema, sequence.name)
    row = live.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(name)).fetchone()
    last, called = row if row else (value, True)
    behind = value - int(last)
    if value > sequence.largest or behind < 0 or (behind == 0 and called):
        return
    draws = -(-behind // sequence.increment) + (0 if called else 1)
    regclass = name.as_string(live)
    if draws <= _DRAW_AT_MOST:
        live.execute("SELECT count(nextval(%s::regclass)) FROM generate_series(1, %s)", (regclass, draws))
    else:
        live.execute("SELECT setval(%s::regclass, %s)", (regclass, value))
