"""Indexes that are built while everybody works with their table: what builds them, and what stands by for a way back. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from backout.databases.postgres.reversible.families import checked_by, condition
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.names import hidden, ident
from backout.databases.postgres.reversible.parse import index_of
from backout.databases.postgres.reversible.remedies import brings_check, remedy
from backout.databases.postgres.reversible.snapshot import Key, Snapshot

BY_INDEX = {"clustered": "CLUSTER ON", "replica_identity": "REPLICA IDENTITY USING INDEX"}
"""What of a table is said by an index, and how."""

KEY_DROPPED = "key.dropped"
"""The kind of a key that is built anew before a way back."""


def built(now: Snapshot, table: int, name: str, create: str) -> Iterator[str]:
    """Yield what builds an index, unless it is there; one that was cut short goes first."""
    found = next((one for one in now.of_table("index", table).values() if one["name"] == name), None)
    if found is not None and found["valid"]:
        return
    if found is not None:
        yield _dropped(now, table, name)
    yield create


def renamed(now: Snapshot, made: dict[str, Any], *, name: str | None = None) -> str:
    """Return what builds an index, its table and columns called as they are now.

    Args:
        now: The catalog.
        made: `table` (oid), `definition`, and in `names` the columns' names of then by attnum.
        name: What it shall be called instead; it is built beside what is written then.
    """
    columns = now.columns(made["table"])
    names = {
        old: str(columns[int(attnum)]["name"])
        for attnum, old in made["names"].items()
        if int(attnum) in columns
    }
    schema, table = schema_of(now, made["table"]), str(now.things[Key("table", made["table"])]["name"])
    return index_of(str(made["definition"]), schema, table, names, name=name)


def to_build(now: Snapshot, entries: Sequence[Entry]) -> list[str]:
    """Return the statements that build what a way back needs before it begins, and is not there yet.

    Args:
        now: The catalog.
        entries: Of all migrations that would be taken back.
    """
    found: list[str] = []
    for entry in entries:
        if not is_built_before(entry):
            continue
        if (family := family_of(entry)) is not None:
            found += _proven(now, family, entry.id)
        elif Key("table", entry.operation["table"]) in now.things:
            create = renamed(now, entry.operation["made"], name=hidden(entry.id))
            found += built(now, entry.operation["table"], hidden(entry.id), create)
    return found


def to_find(now: Snapshot, entries: Sequence[Entry]) -> list[str]:
    """Return the statements that build indexes of the rows about which something was told for a way back: else it reads all under its locks."""
    found: list[str] = []
    for entry in entries:
        if brings_check(entry) and (told := remedy(now, entry.operation)) is not None:
            create = f"CREATE INDEX CONCURRENTLY {ident(hidden(entry.id))} ON {path_of(now, told.table)} ((1)) WHERE {told.bad}"
            found += built(now, told.table, hidden(entry.id), create)
    return found


def left_over(now: Snapshot, entries: Sequence[Entry]) -> list[str]:
    """Return the statements that drop what was built for a way back which nobody took."""
    found: list[str] = []
    for entry in entries:
        if not is_built_before(entry) and not brings_check(entry):
            continue
        if (family := family_of(entry)) is not None:
            table, name = family["member"], checked_by(entry.id)
            if any(one["name"] == name for one in now.of_table("constraint", table).values()):
                found.append(f"ALTER TABLE {path_of(now, table)} DROP CONSTRAINT {ident(name)}")
            continue
        table = entry.operation.get("dropped", entry.operation)["table"]
        if any(one["name"] == hidden(entry.id) for one in now.of_table("index", table).values()):
            found.append(_dropped(now, table, hidden(entry.id)))
    return found


def family_of(entry: Entry) -> dict[str, Any] | None:
    """Return what a change tells of the partition that it has taken from its table; None: it is no such change."""
    told = entry.operation if entry.kind == "partition.detached" else entry.operation.get("hidden", {})
    found = told.get("family") if entry.kind in ("partition.detached", "table.hidden") else None
    return dict(found) if found and found["bound"] and found["check"] else None


def _proven(now: Snapshot, family: dict[str, Any], change: int) -> Iterator[str]:
    """Yield what proves that a table's rows are those of a partition, while everybody works: or they are looked at under locks."""
    table, name = family["member"], checked_by(change)
    if Key("table", table) not in now.things:
        return
    there = [one for one in now.of_table("constraint", table).values() if one["name"] == name]
    head = f"ALTER TABLE {path_of(now, table)}"
    if not there:
        yield f"{head} ADD CONSTRAINT {ident(name)} CHECK ({condition(now, family)}) NOT VALID"
    if not there or not there[0]["valid"]:
        yield f"{head} VALIDATE CONSTRAINT {ident(name)}"


def standing_by(now: Snapshot, table: int, change: int) -> int | None:
    """Return the oid of the index that was built for a change; None: there is none, or it is not whole."""
    for key, one in now.of_table("index", table).items():
        if one["name"] == hidden(change) and one["valid"]:
            return key.oid
    return None


def is_built_before(entry: Entry) -> bool:
    """Tell whether the way back of a change needs an index that has to be built before, or a proof."""
    if family_of(entry) is not None:
        return entry.state == "applied"
    return entry.kind == KEY_DROPPED and entry.state == "applied" and "key" not in entry.operation


def _dropped(now: Snapshot, table: int, name: str) -> str:
    return f"DROP INDEX CONCURRENTLY {ident(schema_of(now, table), name)}"


def schema_of(now: Snapshot, table: int) -> str:
    """Return the name of a table's schema."""
    return str(now.things[Key("schema", now.things[Key("table", table)]["schema"])]["name"])


def path_of(now: Snapshot, table: int) -> str:
    """Return the quoted name with its schema of a table."""
    return ident(schema_of(now, table), now.things[Key("table", table)]["name"])
