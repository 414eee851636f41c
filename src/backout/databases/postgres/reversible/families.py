"""Tables that leave those that they are partitions of, or inherit from, and join them again.

Source: PostgreSQL 15 documentation, "ALTER TABLE", ATTACH PARTITION; 5.11.2.2 "Partition Maintenance".
"""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.link import objects, scalar
from backout.databases.postgres.reversible.names import ident, is_hidden
from backout.databases.postgres.reversible.parse import with_columns
from backout.databases.postgres.reversible.relatives import below
from backout.databases.postgres.reversible.rows.quiet import quietly
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.work import Moved, Work

Record = dict[str, Any]


def leave(work: Work, table: int) -> Record | None:
    """Take a table out of its family; return what `join` needs. None: it has none."""
    thing = work.thing("table", table, called=f"table {table}")
    called = work.now.name(Key("table", table))
    path = work.table_path(table, called=called)
    parents = thing["parents"] or []
    check = scalar(work.link, f"SELECT pg_catalog.pg_get_partition_constraintdef({table})")
    for parent in parents:
        above = work.table_path(parent, called=called)
        if thing["bound"]:
            work.run(f"ALTER TABLE {above} DETACH PARTITION {path}")
        else:
            work.run(f"ALTER TABLE {path} NO INHERIT {above}")
    if not parents:
        return None
    return {
        "member": table,
        "called": called,
        "parents": [{"table": parent} for parent in parents],
        "bound": thing["bound_text"],
        "check": check,
        "names": {str(attnum): one["name"] for attnum, one in work.now.columns(table).items()},
    }


def join(work: Work, record: Record, change: int, *, proves: bool = False) -> int:
    """Undo `leave`; return how many rows came out of the default partition, where they were for want of this one.

    Args:
        work: The transaction.
        record: What `leave` returned.
        change: Number of the journal row.
        proves: That its rows are those of a partition was proven before, unless all is only tried.

    Raises:
        Moved: It cannot be.
    """
    table, called = record["member"], record["called"]
    for one in record["parents"]:
        level(work, one["table"], table, called, exactly=bool(record["bound"]))
    path = work.table_path(table, called=called)
    if not record["bound"]:
        for one in record["parents"]:
            work.run(f"ALTER TABLE {path} INHERIT {work.table_path(one['table'], called=called)}")
        return 0
    parent = record["parents"][0]["table"]
    proof = checked_by(change)
    proven = any(one["name"] == proof for one in work.now.of_table("constraint", table).values())
    if proves and work.only_tried and not proven:
        work.residues.append(
            f"{called} was not tried: its rows are looked at before the way back, which takes a while"
        )
        return 0
    other = default_of(work.now, parent)
    moved = 0
    if other is not None and other != table:
        moved = _move(work, other, table, parent, condition(work.now, record), called)
    work.run(
        f"ALTER TABLE {work.table_path(parent, called=called)} ATTACH PARTITION {path} {record['bound']}"
    )
    if proven:
        work.run(f"ALTER TABLE {path} DROP CONSTRAINT {ident(proof)}")
    return moved


def give_to_default(work: Work, record: Record | None) -> None:
    """Move the rows of a table that has left its family to where they would be without it; tell it, if nowhere."""
    if record is None:
        return
    parent, called = record["parents"][0]["table"], record["called"]
    other = default_of(work.now, parent) if record["bound"] else None
    if other is not None:
        _move(work, record["member"], other, parent, "true", called)
    elif (
        scalar(work.link, f"SELECT EXISTS (SELECT FROM {work.table_path(record['member'], called=called)})")
        == "t"
    ):
        above = work.now.name(Key("table", parent))
        work.residues.append(
            f"rows that were written since into {called} are hidden with it: {above} has no other place for them"
        )


def default_of(now: Snapshot, parent: int) -> int | None:
    """Return the oid of the default partition of a table; None: it has none."""
    for key, one in now.things.items():
        if key.kind == "table" and one.get("bound_text") == "DEFAULT" and parent in (one["parents"] or ()):
            return key.oid
    return None


def condition(now: Snapshot, record: Record) -> str:
    """Return what is true of the rows of a partition, with the names that its columns have now."""
    columns = now.columns(record["member"])
    names = {
        old: str(columns[int(attnum)]["name"])
        for attnum, old in record["names"].items()
        if int(attnum) in columns
    }
    return with_columns(f"CHECK ({record['check'] or 'true'})", names).removeprefix("CHECK ")


def checked_by(change: int) -> str:
    """Return the name of the constraint that proves before a way back that a table's rows are those of a partition."""
    return f"_bo_{change}_c"


def level(work: Work, parent: int, table: int, called: str, *, exactly: bool) -> None:
    """Give a table the hidden columns that the one above has got since, and take away those that are there no more."""
    path = work.table_path(table, called=called)
    above = {one["name"]: one for one in work.now.columns(parent).values()}
    here = {one["name"]: one for one in work.now.columns(table).values()}
    for name, one in above.items():
        if name not in here and is_hidden(name):
            work.run(f"ALTER TABLE {path} ADD COLUMN {ident(name)} {one['type_text']}")
    for name in here:
        if exactly and name not in above and is_hidden(name):
            work.run(f"ALTER TABLE {path} DROP COLUMN {ident(name)}")


def _move(work: Work, source: int, target: int, parent: int, where: str, called: str) -> int:
    """Move rows from one table to another that has the same columns.

    Raises:
        Moved: Foreign keys lead to them.
    """
    here, there = work.table_path(source, called=called), work.table_path(target, called=called)
    n = int(scalar(work.link, f"SELECT count(*) FROM {here} WHERE {where}") or 0)
    if not n:
        return 0
    for one in work.now.things.values():
        if one.get("to_table") == parent and one.get("kind") == "f":
            raise Moved(
                called,
                f"is a partition for {n} row(s) that are in another one, and cannot be moved while the foreign key {one['name']} leads to them",
                look=f"SELECT * FROM {here} WHERE {where}",
            )
    columns = ", ".join(
        ident(one["name"]) for one in work.now.columns(target).values() if not one["generated"]
    )
    tables = [source, target, *below(work.now, source), *below(work.now, target)]
    with quietly(work.link, tables, []):
        work.run(
            f"WITH moved AS (DELETE FROM {here} WHERE {where} RETURNING {columns}) "
            f"INSERT INTO {there} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM moved"
        )
    return n


def children_of(work: Work, table: int) -> list[str]:
    """Return the names of tables that are partitions of one, or inherit from it, and are not hidden."""
    found = objects(
        work.link,
        f"SELECT inhrelid::int8 AS oid FROM pg_catalog.pg_inherits WHERE inhparent = {table}",
    )
    keys = [Key("table", one["oid"]) for one in found]
    return [
        work.now.name(key)
        for key in keys
        if key in work.now.things and not is_hidden(str(work.now.things[key]["name"]))
    ]
