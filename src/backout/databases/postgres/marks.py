"""How a hold by the database is spelled.

The hold is a setting of the database, spelled so that it can be told from one that somebody else made
and so that a process killed half-way leaves behind what was done: PostgreSQL takes any unambiguous
beginning of a truth value (`t`, `tru`, `fals`) and keeps the text as it was given.
Source: PostgreSQL 15 documentation, 20.1.1 "Parameter Names and Values"; "pg_db_role_setting".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

from backout.observed import Answer

if TYPE_CHECKING:
    import psycopg

SETTING = "default_transaction_read_only"
TRUE = ("true", "yes", "on", "1")


@dataclass(frozen=True, slots=True)
class Marks:
    """How the setting is spelled while it is ours, by what it was before."""

    prior: str | None
    beginning: LiteralString
    held: LiteralString
    ending: LiteralString


_MARKS = (
    Marks(None, "t", "tru", "fals"),
    Marks("off", "y", "ye", "of"),
    Marks("on", "T", "TRU", "FALS"),
)


_OF_DATABASE = """
SELECT split_part(entry, '=', 2) FROM pg_db_role_setting s, unnest(s.setconfig) entry
WHERE s.setdatabase = %s AND s.setrole = 0 AND split_part(entry, '=', 1) = 'default_transaction_read_only'"""


def setting_of(connection: psycopg.Connection[Any], oid: int) -> str | None:
    """Return the setting of the database with that number as it is spelled, asked from any database of the server."""
    row = connection.execute(_OF_DATABASE, (oid,)).fetchone()
    return str(row[0]) if row else None


def marks_for(prior: str | None) -> Marks:
    """Return the spellings for a setting that was this text before (None: was not set)."""
    if prior is None:
        return _MARKS[0]
    return _MARKS[2] if prior.lower() in TRUE else _MARKS[1]


def read_back(setting: str | None) -> tuple[Answer, str | None]:
    """Return whether our hold is in force (unknown: for some sessions only), and what was set before it."""
    for marks in _MARKS:
        if setting == marks.held:
            return Answer.YES, marks.prior
        if setting in (marks.beginning, marks.ending):
            return Answer.UNKNOWN, marks.prior
    return Answer.NO, setting


def setting_before(setting: str | None) -> str | None:
    """Return what the setting is without our hold: what was set before it."""
    return read_back(setting)[1]
