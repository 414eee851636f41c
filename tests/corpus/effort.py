"""What a way back has to do with rows, told by the journal, by `db status` and by what it ran. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.corpus.results import ALL, AT_ONCE, WRITES

from backout.databases.postgres.reversible.journal import Entry
from backout.migration import WayTaken
from backout.migration_status import RowsSince

_HELD_KINDS = {"placed", "excluded", "beside"}
_WRITE_KINDS = {"filled", "converted", "brought", "repaired", "aside", "null"}
_BUILT_BEFORE = {"key.dropped"}
_READS_ALL = re.compile(r"\bVALIDATE CONSTRAINT\b|\bINDEX\b.* ON |\bREFRESH MATERIALIZED\b|\bSET NOT NULL\b")
_HOLDS = re.compile(r"^CREATE (UNIQUE )?INDEX(?! CONCURRENTLY)|\bSET NOT NULL\b", re.I)
_PROVES = re.compile(
    r"^ALTER TABLE .*\bADD CONSTRAINT \S+ (CHECK|FOREIGN KEY)\b(?!.*\bNOT VALID\b)", re.I | re.S
)


def effort(
    entries: Sequence[Entry],
    rows: Sequence[RowsSince],
    way: WayTaken,
    later: Sequence[str],
    *,
    sets_back_many: bool,
    retyped: bool,
) -> tuple[str, bool]:
    """Return `O(1)`, `O(writes)` or `O(n)`, and whether tables are locked while it does something with all rows of one.

    Args:
        entries: Of the migration.
        rows: What `db status` says of rows written since.
        way: The way back.
        later: What it ran after its transaction, without keeping anybody from anything.
        retyped: A column has another type since; else a change of type writes no row anew.
        sets_back_many: The migration itself changed rows, the more the more there were.
    """
    in_place = retyped and any(
        one.kind == "column.retyped" and one.operation["form"] == "in place" for one in entries
    )
    held = (
        sets_back_many
        or in_place
        or any(one.kind in _HELD_KINDS for one in rows)
        or any(_HOLDS.search(one) or _PROVES.search(one) for one in way.statements)
    )
    if held or any(map(_READS_ALL.search, later)) or any(one.kind in _BUILT_BEFORE for one in entries):
        return ALL, held
    return (WRITES if any(one.kind in _WRITE_KINDS for one in rows) else AT_ONCE), False
