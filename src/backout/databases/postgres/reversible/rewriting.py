"""What a migration makes of what it drops: on the way back the old column or table would not know what was written since."""

from __future__ import annotations

from backout.databases.postgres.reversible.catalog import Key
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.databases.postgres.reversible.written import Counts


def check_rows(
    difference: Difference, rows: dict[int, Counts], entries: list[Entry], found: list[tuple[str, Operation]]
) -> None:
    """Refuse rows that the migration changed and that nobody can change back.

    Args:
        difference: What the transaction did to the catalog.
        rows: Of which tables it changed rows.
        entries: What the migration has journalled so far.
        found: What will be journalled besides.

    Raises:
        Veto: It changed rows of a table that was there before, or made a table or column from one that it drops.
    """
    operations = [(e.kind, e.operation) for e in entries] + found
    hidden_tables = [op["hidden"]["called"] for kind, op in operations if kind == "table.hidden"]
    for table, counts in rows.items():
        key = Key("table", table)
        if key not in difference.after.things:
            continue  # the engine's own
        if key in difference.before.things:
            raise Veto(
                f"backout cannot yet undo that rows of {difference.after.name(key)} were changed",
                detail=f"{counts.inserted} inserted, {counts.updated} updated, {counts.deleted} deleted by this transaction.",
            )
        if hidden_tables and counts.inserted:
            raise Veto(
                f"backout cannot yet undo a table that is made anew from another: {difference.after.name(key)}",
                detail=f"The same migration drops {', '.join(hidden_tables)}. On the way back that would be as it was "
                "dropped, without what was written since.",
            )
