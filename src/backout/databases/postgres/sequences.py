"""Sequences of a restored database are set to what the live one has reached: no id seen outside is issued again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from backout.databases.postgres.by_hand import psql, quoted
from backout.errors import NotPossible
from backout.message import Message, msg

if TYPE_CHECKING:
    import psycopg

_READ = """
SELECT n.nspname::text, c.relname::text,
       CASE WHEN c.relkind = 'S' AND has_sequence_privilege(c.oid, 'USAGE, SELECT') THEN pg_sequence_last_value(c.oid) END
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't'"""

_WITHOUT_RIGHT = """
SELECT format('%%s.%%s', n.nspname, c.relname)
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't'
  -- In any order that the planner likes: what is no sequence must not be asked about.
  AND CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege(c.oid, %s) END
ORDER BY 1"""

# One that counts downwards goes to the smaller value; none goes back, and none beyond its own bounds.
_ADVANCE = """
WITH wanted AS (
  SELECT c.oid, s.seqincrement > 0 AS up, s.seqstart, pg_sequence_last_value(c.oid) AS have,
         least(greatest(w.value, s.seqmin), s.seqmax) AS want
  FROM unnest(%s::text[], %s::text[], %s::bigint[]) w(schema, name, value)
  JOIN pg_namespace n ON n.nspname = w.schema
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
  JOIN pg_sequence s ON s.seqrelid = c.oid
  WHERE c.relpersistence <> 't')
SELECT count(setval(oid::regclass, want, true)) FROM wanted
WHERE CASE WHEN have IS NULL THEN (up AND want >= seqstart) OR (NOT up AND want <= seqstart)
           ELSE (up AND want > have) OR (NOT up AND want < have) END"""


class Reached(NamedTuple):
    """The last value that a sequence has given out."""

    schema: str
    name: str
    value: int


def read_sequences(connection: psycopg.Connection[Any]) -> list[Reached]:
    """Return the last value of each sequence that has given one out."""
    return [Reached(*row) for row in connection.execute(_READ).fetchall() if row[2] is not None]


def advance_sequences(connection: psycopg.Connection[Any], reached: list[Reached]) -> int:
    """Set each sequence of that name to the value reached, where it is behind; return how many were set. Idempotent."""
    columns = ([r.schema for r in reached], [r.name for r in reached], [r.value for r in reached])
    row = connection.execute(_ADVANCE, columns).fetchone()
    return int(row[0]) if row else 0


def read_all(connection: psycopg.Connection[Any]) -> list[Reached]:
    """Return the last value of each sequence that has given one out.

    Raises:
        NotPossible: The role may not read one of them; it is named.
    """
    _refuse_without(connection, "USAGE, SELECT", msg("Nothing was overwritten."))
    return read_sequences(connection)


def advance_all(connection: psycopg.Connection[Any], reached: list[Reached]) -> int:
    """Set each sequence of that name to the value reached, where it is behind; return how many were set. Idempotent.

    Raises:
        NotPossible: The role may not set one of them; it is named.
    """
    _refuse_without(
        connection, "UPDATE", msg("Numbers that were given out would be given out again; writes are held.")
    )
    return advance_sequences(connection, reached)


def _refuse_without(connection: psycopg.Connection[Any], right: str, state: Message) -> None:
    lacking = sequences_without_right(connection, right)
    if lacking:
        grants = [f"GRANT {right} ON SEQUENCE {name} TO {quoted(connection.info.user)}" for name in lacking]
        raise NotPossible(
            msg("The role lacks {right} on sequences: {names}", right=right, names=", ".join(lacking)),
            state=state,
            next_command=f"{psql(*grants)}   # as an administrator; then: backout resume",
        )


def sequences_without_right(connection: psycopg.Connection[Any], right: str) -> list[str]:
    """Return the sequences for which the role lacks the right (`UPDATE`; `USAGE, SELECT`)."""
    return [str(row[0]) for row in connection.execute(_WITHOUT_RIGHT, (right,)).fetchall()]
