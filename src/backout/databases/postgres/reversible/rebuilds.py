"""The last look before a COMMIT at tables that the migration drops and others that it fills. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from backout.databases.postgres.reversible.catalog import Key, Snapshot
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.origins import Origins
from backout.databases.postgres.reversible.verdict import made_anew


def refuse(origins: Origins, now: Snapshot, operations: Sequence[tuple[str, Operation]]) -> None:
    """Refuse a dropped table whose rows another one has that the migration has made, if the two are not kept the same.

    Args:
        origins: Where rows come from.
        now: The catalog before the COMMIT.
        operations: Kind and operation of all that the migration has changed so far, this transaction included.

    Raises:
        Veto: There is one.
    """
    made = {
        op["table"]
        for kind, op in operations
        if kind == "table.added" and Key("table", op["table"]) in now.things
    }
    filled = {table for kind, op in operations if kind == "rows" for table in op.get("filled", ())} & made
    for kind, op in operations:
        if kind != "table.hidden":
            continue
        dropped, told = op["hidden"]["table"], op.get("rebuilt")
        paired = {told["made"]["table"]} if told is not None else set()
        others = {*origins.takers(dropped, made), *(filled - origins.pours.keys())} - paired
        if others:
            names = [now.name(Key("table", one)) for one in sorted(others)]
            raise made_anew(op["hidden"]["called"], names, "not each of its rows can be found there")
        if told is not None and (changed := _changed(origins, now, told)):
            names = [told["made"]["called"]]
            raise made_anew(
                op["hidden"]["called"], names, f"the migration has changed {', '.join(changed)} there since"
            )


def _changed(origins: Origins, now: Snapshot, told: Operation) -> list[str]:
    """Return the columns from which the dropped table's values follow, and that the migration has changed itself."""
    table = told["made"]["table"]
    read = {attnum for way in told["back"].values() for attnum in way["columns"]}
    columns = now.columns(table)
    changed = read & origins.updated.get(table, set())
    return sorted(str(columns[attnum]["name"]) for attnum in changed if attnum in columns)
