"""What a person types: names and statements as the shell and PostgreSQL take them."""

from __future__ import annotations

import shlex

from backout.databases.postgres.marks import SETTING

WRITES = f'PGOPTIONS="-c {SETTING}=off" psql "$DATABASE_URL"'
"""A psql that may write to a database which refuses writes."""


def quoted(name: str) -> str:
    """Return a name as SQL has it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def psql(*statements: str, options: str = "psql") -> str:
    """Return the command that runs statements, each by itself.

    Args:
        statements: SQL.
        options: What it begins with: the program, and its options.
    """
    return " ".join((options, *(f"-c {shlex.quote(one)}" for one in statements)))
