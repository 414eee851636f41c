"""Hiding a table: it goes to the hidden schema with its rows, indexes and sequences, and no foreign key acts on it."""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible import constraints
from backout.databases.postgres.reversible.catalog import Key, Snapshot
from backout.databases.postgres.reversible.hide import NotHidden
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, hidden, ident, is_hidden
from backout.databases.postgres.reversible.work import Moved, Work

Record = dict[str, Any]


def hide_table(work: Work, table: int, change: int) -> Record:
    """Hide a table.

    Returns:
        What `show_table` needs, and what differences it explains.

    Raises:
        NotHidden: It is one that cannot be hidden yet.
    """
    now = work.now
    called = now.name(Key("table", table))
    thing = work.thing("table", table, called=called)
    _refuse(now, table, called)
    # It comes back as it was before the transaction may have renamed or moved it, to drop it then.
    was = work.was(Key("table", table)) or thing
    record: Record = {"table": table, "called": called, "name": was["name"], "schema": was["schema"]}
    record["schema_name"] = work.schema_name(thing["schema"])
    record["hidden"] = hidden(change)
    record["constraints"] = _drop_foreign_keys(work, now, table)
    path = work.table_path(table, called=called)
    # Its name first: the hidden schema may hold another one of that name, and indexes keep theirs only if they are free.
    record["renamed"] = _rename_parts(work, now, table, record["hidden"])
    work.run(f"ALTER TABLE {path} RENAME TO {ident(record['hidden'])}")
    work.run(
        f"ALTER TABLE {ident(record['schema_name'], record['hidden'])} SET SCHEMA {ident(HIDDEN_SCHEMA)}"
    )
    record["explains"] = _explained(now, table, record)
    return record


def show_table(work: Work, record: Record) -> None:
    """Undo `hide_table`; foreign keys are for `require_table`.

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
    schema = ident(work.schema_name(record["schema"]))
    work.run(f"ALTER TABLE {path} SET SCHEMA {schema}")
    moved = work.table_path(record["table"], called=called)
    work.run(f"ALTER TABLE {moved} RENAME TO {ident(record['name'])}")
    for one in record["renamed"]:
        # An index of a column whose type was changed before the table was dropped is hidden with that column by now, or gone.
        part = work.now.things.get(Key(one["kind"], one["oid"]))
        if part is not None and part["name"] == _part(record["hidden"], one["oid"]):
            _rename(work, one["kind"], one["oid"], one["from"], called)


def require_table(work: Work, record: Record) -> None:
    """Put back the foreign keys from and to it; existing rows are looked at after the COMMIT."""
    for one in record["constraints"]:
        constraints.add(work, one)


def _refuse(now: Snapshot, table: int, called: str) -> None:
    thing = now.things[Key("table", table)]
    if thing["kind"] != "r":
        raise NotHidden(f"{called} is not a plain table")
    if thing["parents"] or now.has_children(table):
        raise NotHidden(f"{called} is part of an inheritance or a partitioned table")


def _drop_foreign_keys(work: Work, now: Snapshot, table: int) -> list[Record]:
    found = []
    for key, one in now.things.items():
        if (
            key.kind == "constraint"
            and one["kind"] == "f"
            and not one["parent"]
            and table in (one["table"], one["to_table"])
        ):
            path = work.table_path(one["table"], called=one["name"])
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
    found: list[Record] = []
    for kind, oid, was in _parts(now, table):
        if is_hidden(was):
            continue
        _rename(work, kind, oid, _part(name, oid), was)
        first = work.was(Key(kind, oid)) or {"name": was}
        found.append({"kind": kind, "oid": oid, "from": str(first["name"])})
    return found


def _part(hidden_table: str, oid: int) -> str:
    return f"{hidden_table}_p{oid}"


def _rename(work: Work, kind: str, oid: int, to: str, called: str) -> None:
    """Rename an index, its constraint with it, or a sequence."""
    word = {"index": "INDEX", "sequence": "SEQUENCE"}[kind]
    work.run(f"ALTER {word} {work.path(kind, oid, called=called)} RENAME TO {ident(to)}")


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
