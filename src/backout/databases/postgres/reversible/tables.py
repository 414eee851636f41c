"""Hiding a table: it goes to the hidden schema with its rows, indexes and sequences, and no foreign key acts on it."""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible import constraints
from backout.databases.postgres.reversible.difference import differences_of
from backout.databases.postgres.reversible.families import (
    children_of,
    give_to_default,
    join,
    leave,
)
from backout.databases.postgres.reversible.hide import NotHidden
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, hidden, ident, is_hidden
from backout.databases.postgres.reversible.relatives import below
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing
from backout.databases.postgres.reversible.work import Moved, Work

Record = dict[str, Any]


def hide_table(work: Work, table: int, change: int, *, stays: bool = False, gives: bool = False) -> Record:
    """Hide a table.

    Args:
        work: The transaction.
        table: Oid.
        change: Number of the journal row.
        gives: Its rows are moved to where they would be without it, if anywhere.
        stays: It stays a partition, or goes on inheriting: what it has its columns from goes with it.

    Returns:
        What `show_table` needs, and what differences it explains.

    Raises:
        NotHidden: It is one that cannot be hidden yet.
    """
    before = work.now
    called = before.name(Key("table", table))
    thing = work.thing("table", table, called=called)
    _refuse(work, table, called)
    family = None if stays else leave(work, table)
    if gives:
        give_to_default(work, family)
    now = work.now
    # It comes back as it was before the transaction may have renamed or moved it, to drop it then.
    was = work.was(Key("table", table)) or thing
    record: Record = {"table": table, "called": called, "name": was["name"], "schema": was["schema"]}
    record["schema_name"] = work.schema_name(thing["schema"])
    record["hidden"] = hidden(change)
    record["family"] = family
    # What it has from those above it gets from them again.
    had = [key for key, one in before.of_table("constraint", table).items() if one["parent"]]
    path = work.table_path(table, called=called)
    record["constraints"] = [
        one for one in _drop_foreign_keys(work, now, table) if Key("constraint", one["oid"]) not in had
    ]
    # Its name first: the hidden schema may hold another one of that name, and indexes keep theirs only if they are free.
    record["renamed"] = _rename_parts(work, now, table, record["hidden"])
    work.run(f"ALTER TABLE {path} RENAME TO {ident(record['hidden'])}")
    work.run(
        f"ALTER TABLE {ident(record['schema_name'], record['hidden'])} SET SCHEMA {ident(HIDDEN_SCHEMA)}"
    )
    record["explains"] = _explained(now, table, record)
    if family is not None or thing["kind"] == "p":
        record["explains"] += differences_of(before, work.now, {table, *below(before, table)})
    return record


def show_table(work: Work, record: Record, change: int, *, proves: bool = False) -> int:
    """Undo `hide_table`; foreign keys are for `require_table`.

    Returns:
        How many rows came into it out of a default partition.

    Raises:
        Moved: It is gone, or another one has its name.
    """
    now, called = work.now, record["called"]
    if any(
        k.kind == "table" and t["name"] == record["name"] and t["schema"] == record["schema"]
        for k, t in now.things.items()
    ):
        raise Moved(called, "cannot come back: another table has its name")
    path = work.table_path(record["table"], called=called)
    schema = work.schema_name(record["schema"])
    work.run(f"ALTER TABLE {path} SET SCHEMA {ident(schema)}")
    name = str(now.things[Key("table", record["table"])]["name"])
    work.run(f"ALTER TABLE {ident(schema, name)} RENAME TO {ident(record['name'])}")
    for one in record["renamed"]:
        # An index of a column whose type was changed before the table was dropped is hidden with that column by now, or gone.
        thing = now.things.get(Key(one["kind"], one["oid"]))
        if thing is not None and thing["name"] == _part(record["hidden"], one["oid"]):
            _rename(work, one["kind"], schema, str(thing["name"]), one["from"])
    return join(work, record["family"], change, proves=proves) if record.get("family") else 0


def word_of(table: Thing) -> str:
    """Return what DROP calls a table."""
    return "FOREIGN TABLE" if table["kind"] == "f" else "TABLE"


def require_table(work: Work, record: Record) -> None:
    """Put back the foreign keys from and to it; existing rows are looked at after the COMMIT."""
    for one in record["constraints"]:
        constraints.add(work, one)


def _refuse(work: Work, table: int, called: str) -> None:
    thing = work.thing("table", table, called=called)
    if thing["kind"] not in "rpf":
        raise NotHidden(f"{called} is no table")
    if thing["kind"] == "f" and thing["parents"]:
        raise NotHidden(f"{called} is a foreign table, and a partition or inherits")
    if children := children_of(work, table):
        raise NotHidden(f"{called} is what {', '.join(children)} is a partition of, or inherits from")


def _drop_foreign_keys(work: Work, now: Snapshot, table: int) -> list[Record]:
    those = [
        (key, one, work.table_path(one["table"], called=one["name"]))
        for key, one in now.things.items()
        if key.kind == "constraint"
        and one["kind"] == "f"
        and not one["parent"]
        and table in (one["table"], one["to_table"])
    ]
    found = []
    # What the tables are called does not change with it: the catalog is not read in between.
    for key, one, path in those:
        work.run(f"ALTER TABLE {path} DROP CONSTRAINT {ident(one['name'])}")
        # One that the transaction itself has made is not of before; it may stand for another of that name.
        if (was := work.was(key)) is not None:
            found.append(constraints.kept(was, work.begun or now) | {"oid": key.oid})
    return found


def _parts(now: Snapshot, table: int) -> list[tuple[str, int, str]]:
    """Return kind, oid and name of what lies in the schema of a table because of it: indexes and owned sequences."""
    indexes = [("index", key.oid, str(one["name"])) for key, one in now.of_table("index", table).items()]
    sequences = [
        ("sequence", key.oid, str(one["name"]))
        for key, one in now.things.items()
        if key.kind == "sequence" and (one["owned_by"] or [None])[0] == table
    ]
    return indexes + sequences


def _rename_parts(work: Work, now: Snapshot, table: int, name: str) -> list[Record]:
    """Give its parts names that nobody else has; what the engine named itself has one, and is looked for by it."""
    schema = str(now.things[Key("schema", now.things[Key("table", table)]["schema"])]["name"])
    found: list[Record] = []
    for kind, oid, was in _parts(now, table):
        if is_hidden(was):
            continue
        _rename(work, kind, schema, was, _part(name, oid))
        first = work.was(Key(kind, oid)) or {"name": was}
        found.append({"kind": kind, "oid": oid, "from": str(first["name"])})
    return found


def _part(hidden_table: str, oid: int) -> str:
    return f"{hidden_table}_p{oid}"


def _rename(work: Work, kind: str, schema: str, name: str, to: str) -> None:
    """Rename an index, its constraint with it, or a sequence; the catalog is not read for each, as they may be many."""
    word = {"index": "INDEX", "sequence": "SEQUENCE"}[kind]
    work.run(f"ALTER {word} {ident(schema, name)} RENAME TO {ident(to)}")


def _explained(now: Snapshot, table: int, record: Record) -> list[list[Any]]:
    found: list[list[Any]] = [["table", table, 0, ["name", "schema"]]]
    found += [["constraint", one["oid"], 0, []] for one in record["constraints"]]
    found += [[kind, oid, 0, ["name", "schema"]] for kind, oid, _ in _parts(now, table)]
    found += [
        ["constraint", key.oid, 0, ["name"]]
        for key, one in now.of_table("constraint", table).items()
        if one["index"]
    ]
    return found
