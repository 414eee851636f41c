"""Values of every type, as SQL: another one for each number, where the type has so many."""

from __future__ import annotations

from random import Random

from .look import Column, text

PLAIN = (
    "integer", "bigint", "text", "varchar(40)", "numeric(12,2)", "boolean", "date", "timestamptz", "uuid", "jsonb", "smallint",
    "text[]", "double precision", "bytea", "char(12)", "json", "timestamp", "numeric", "real", "interval", "inet",
)  # fmt: skip

_ODD = (
    "it's",
    "back\\slash",
    'qu"ote',
    "$$",
    "ünï ✓",
    " ",
    "%s",
    "{1,2}",
    "NULL",
    "line\nbreak",
    "--",
    ";",
    "\\N",
    "{}",
)
"""Endings of texts that somebody could take for something else."""


def value(column: Column, number: int, random: Random) -> str:
    """Return a value for a column, unlike that of other numbers where it can be."""
    if column.labels:
        return text(column.labels[number % len(column.labels)])
    return of_type(column.base, number, random)


def of_type(name: str, number: int, random: Random) -> str:
    base = name.removesuffix("[]")
    if name.endswith("[]"):
        return f"ARRAY[{of_type(base, number, random)}]::{name}"
    match base.split("(")[0]:
        case "integer" | "bigint" | "double precision" | "real" | "numeric":
            return str(number)
        case "smallint":
            return str(number % 32000)
        case "boolean":
            return "true" if number % 2 else "false"
        case "date":
            return f"'2020-01-01'::date + {number}"
        case "timestamp with time zone" | "timestamptz" | "timestamp without time zone" | "timestamp":
            return f"'2020-01-01 00:00:00'::timestamp + interval '{number} min'"
        case "interval":
            return f"interval '{number} min'"
        case "uuid":
            return f"'00000000-0000-0000-0000-{number:012x}'"
        case "jsonb" | "json":
            return f"'{{\"n\": {number}}}'"
        case "bytea":
            return f"'\\x{number:08x}'::bytea"
        case "inet":
            return f"'10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}'"
        case "character":
            return f"'c{number}'"
    odd = random.choice(_ODD) if random.random() < 0.25 else ""
    return text(f"v{number}{odd}")
