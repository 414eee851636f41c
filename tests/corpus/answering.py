"""Answers for what nobody can compute, as somebody who knows nothing of the application would give them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg

TYPED, ANY = "typed", "any"
"""Stand for a value of the column's type: one that may be in any number of rows, and any."""

_ASKED = re.compile(r"-- backout: (fill|back) (\S+) = EXPR")
_ITSELF = re.compile(r"With (\S+) for EXPR, it comes back as it was dropped")
_TYPES = re.compile(r"have an? (.+?), of which PostgreSQL makes no (.+?) by itself")
_LATE = re.compile(r"--fill '?([^\s=]+)=EXPR")
_PART = r'(?:"(?:[^"]|"")+"|[^\s."]+)'
_CALLED = re.compile(rf"backout needs an answer for ({_PART}(?:\.{_PART})*)")


def asked(said: str) -> list[tuple[str, str]]:
    """Return what an error asks for: answers to try, one after the other, each by the place that it is for."""
    found = _ASKED.search(said)
    if found is None:
        return []
    word, place = found.groups()
    key = place if word == "fill" else f"{word} {place}"
    itself, types = _ITSELF.search(said), _TYPES.search(said)
    if itself:
        return [(key, itself.group(1))]
    if types:
        column = place.rpartition(".")[2].strip('"')
        return [(key, f'("{column}")::text::{types.group(2)}'), (key, "NULL")]
    # Of a key, a value that is the same in all rows may be none: it comes last.
    return [(key, TYPED), (key, "NULL"), (key, ANY)]


def called(said: str) -> str:
    """Return the column that an error asks about, quoted as SQL wants it."""
    found = _CALLED.search(said)
    return found.group(1) if found else ""


def late(next_command: str) -> str | None:
    """Return the column that a way back wants an answer for, by what it says to type next."""
    found = _LATE.search(next_command)
    return found.group(1) if found else None


def fitting(connection: psycopg.Connection[Any], place: str) -> list[str]:
    """Return what may be put where a column cannot hold a later value: one made of that, as it may have to be another in each row, or any."""
    table, _, column = place.rpartition(".")
    found = connection.execute(_COLUMN, (table, column.strip('"').replace('""', '"'))).fetchone()
    if found is None:
        return []
    kind, category, labels, _, _ = found
    own = _OF_ITSELF.get(kind, _OF_ITSELF.get(category))
    made = [] if own is None else [own.format(f'"{column.strip(chr(34))}"')]
    values = labels or [one for one in (_value(kind, category, labels),) if one is not None]
    return [*made, *map(_literal, values)]


def typed(connection: psycopg.Connection[Any], called: str) -> str:
    """Return a value of a column's type, as an expression: none, where rows of others or of its own have to be known for it.

    Of a key's UUID another one for each row.
    """
    table, _, column = called.rpartition(".")
    found = connection.execute(_COLUMN, (table, column.strip('"').replace('""', '"'))).fetchone()
    if found is None or found[3]:
        return "NULL"
    kind, category, labels, _, once = found
    if once:
        return "gen_random_uuid()" if kind == "uuid" else "NULL"
    value = _value(kind, category, labels)
    return "NULL" if value is None else _literal(value)


def _value(kind: str, category: str, labels: Sequence[str] | None) -> str | None:
    return labels[0] if labels else _VALUES.get(kind.partition("(")[0], _BY_CATEGORY.get(category))


def _literal(value: str) -> str:
    return f"'{value.replace(chr(39), chr(39) * 2)}'"


_COLUMN = b"""SELECT format_type(a.atttypid, a.atttypmod), t.typcategory,
               (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
               EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND a.attnum = ANY (k.conkey) AND k.contype = 'f'),
               EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY (i.indkey::int2[]))
               FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = to_regclass(%s) AND a.attname = %s"""
_VALUES = {"uuid": "00000000-0000-0000-0000-000000000000", "json": "{}", "jsonb": "{}", "bytea": ""}
_BY_CATEGORY = {"S": "", "N": "0", "B": "false", "D": "2026-01-01", "A": "{}", "T": "0"}
_OF_ITSELF = {"N": "hashtext(({})::text)", "S": "md5(({})::text)", "uuid": "md5(({})::text)::uuid"}
