"""Names of what the engine keeps in a database, and how text gets into SQL."""

from __future__ import annotations

import re

SCHEMA = "backout"
"""Journal, row logs and the functions of triggers."""

HIDDEN_SCHEMA = "backout_hidden"
"""Tables, types and sequences that were dropped, or made by a release that was taken back."""

PREFIX = "_bo_"
"""Begins the name of every hidden column, constraint, index and trigger; the number of its journal row follows."""

COMMENT = "backout: "
"""Begins the comment of every hidden column; how it was follows."""


def hidden(change: int) -> str:
    """Return the hidden name of what the journal row of that number tells: unique in the database."""
    return f"{PREFIX}{change}"


REQUIRED = re.compile(r"_bo_\d+(_\d+|_n)?_nn")
"""Name of a CHECK in the place of a NOT NULL that is not proven yet."""

LAST = f"~{PREFIX}"
"""Begins the name of a trigger that has to fire after all others: triggers fire in the order of their names."""


_SCHEMAS = re.compile(rf"{HIDDEN_SCHEMA}|{SCHEMA}(_\d+)?")


def is_hidden(name: str) -> bool:
    """Tell whether a column, constraint, index, trigger, table or schema of that name is the engine's own."""
    return name.startswith((PREFIX, LAST)) or _SCHEMAS.fullmatch(name) is not None


def ident(*names: str) -> str:
    """Return a name, or dotted names, quoted always."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str | None) -> str:
    """Return text as an SQL literal, whatever `standard_conforming_strings` says."""
    if text is None:
        return "NULL"
    quoted = text.replace("'", "''")
    return f"E'{quoted}'".replace("\\", "\\\\") if "\\" in quoted else f"'{quoted}'"
