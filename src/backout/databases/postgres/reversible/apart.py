"""What comes back as it was dropped, though an earlier migration had made another of it: later writes are in that alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backout.databases.postgres.reversible.following import ASIDE, HIDDEN
from backout.databases.postgres.reversible.journal import Entry


class Apart(NamedTuple):
    """A column or table that was dropped, and those that the migrations had made and filled.

    Attributes:
        dropped: What it is called.
        made: What they are called.
    """

    dropped: str
    made: tuple[str, ...]


def apart(entries: Sequence[Entry]) -> list[Apart]:
    """Return what would come back without what was written since, by applied entries of the migrations taken back together.

    Whether a column was filled from the dropped one or from elsewhere no statement tells for sure: each counts that was
    made before, beside it, in a table whose rows the migrations have changed; of tables each that was made before and filled.
    """
    rows = [one.operation for one in entries if one.kind == "rows"]
    updated = {table for one in rows for table in one.get("updated", ())}
    filled = {table for one in rows for table in (*one.get("filled", ()), *one["tables"])}
    found = []
    for one in entries:
        if one.kind in (HIDDEN, ASIDE) and "taken" not in one.operation:
            table = one.operation["hidden"]["table"]
            made = (*one.operation.get("moved", ()),) or _made(
                entries, "column.added", before=one, tables=updated & {table}
            )
        elif one.kind == "table.hidden" and one.operation.get("left"):
            made = tuple(
                other.operation["called"]
                for other in entries
                if other.kind == "table.added" and other.operation["table"] in one.operation["left"]
            )
        elif one.kind == "table.hidden" and "rebuilt" not in one.operation:
            made = _made(entries, "table.added", before=one, tables=filled)
        else:
            continue
        if made:
            found.append(Apart(one.operation["hidden"]["called"], made))
    return found


def _made(entries: Sequence[Entry], kind: str, *, before: Entry, tables: set[int]) -> tuple[str, ...]:
    earlier = [one for one in entries if one.kind == kind and one.migration < before.migration]
    return tuple(one.operation["called"] for one in earlier if one.operation["table"] in tables)
