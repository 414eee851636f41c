"""Answers for what nobody can compute, as somebody who knows nothing of the application would give them."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import sql

_ASKED = re.compile(r"-- backout: (fill|back) (\S+) = EXPR")
_ITSELF = re.compile(r"With (\S+) for EXPR, it comes back as it was dropped")
_TYPES = re.compile(r"have an? (.+?), of which PostgreSQL makes no (.+?) by itself")
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
    return [(key, "typed"), (key, "NULL")]


def called(said: str) -> str:
    """Return the column that an error asks about, quoted as SQL wants it."""
    found = _CALLED.search(said)
    return found.group(1) if found else ""


def typed(connection: psycopg.Connection[Any], called: str) -> str:
    """Return a value of a column's type, as an expression: of a column that refers to others none, as nobody knows one."""
    table, _, column = called.rpartition(".")
    found = connection.execute(
        sql.SQL(
            """SELECT format_type(a.atttypid, a.atttypmod), t.typcategory,
               (SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder LIMIT 1),
               EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND a.attnum = ANY (k.conkey) AND k.contype IN ('f', 'p', 'u'))
                 OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY (i.indkey::int2[]))
               FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = to_regclass(%s) AND a.attname = %s"""
        ),
        (table, column.strip('"').replace('""', '"')),
    ).fetchone()
    if found is None or found[3]:
        return "NULL"
    kind, category, label, _ = found
    value = label if label is not None else _VALUES.get(kind.partition("(")[0], _BY_CATEGORY.get(category))
    return "NULL" if value is None else f"'{value.replace(chr(39), chr(39) * 2)}'"


_VALUES = {"uuid": "00000000-0000-0000-0000-000000000000", "json": "{}", "jsonb": "{}", "bytea": ""}
_BY_CATEGORY = {"S": "", "N": "0", "B": "false", "D": "2026-01-01", "A": "{}", "T": "0"}
