"""The primary key of a hidden column that goes on numbering itself is kept with it, until its table gets another one."""

from __future__ import annotations

from dataclasses import replace

from backout.databases.postgres.reversible import constraints, primary
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.link import scalar
from backout.databases.postgres.reversible.names import ident, is_hidden, literal
from backout.databases.postgres.reversible.parse import Statement, nodes_of
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Work


def makes_primary_key(statement: Statement) -> bool:
    """Tell whether an ALTER TABLE gives a table a primary key."""
    return statement.kind == "alter_table_stmt" and any(
        one.DESCRIPTOR.fields_by_name["contype"].enum_type.values_by_number[one.contype].name
        == "CONSTR_PRIMARY"
        for one in nodes_of(statement.node, "Constraint")
    )


def give_way(work: Work, statement: Statement, entries: list[Entry]) -> Entry | None:
    """Give up the primary key of a hidden column, as the table gets another one; return the entry that tells of it from now on.

    A table has one primary key. An index stands by for the one that is given up, and is it again on the way back.

    Args:
        work: The client's transaction.
        statement: One that gives a table a primary key.
        entries: All that may be of a hidden column.
    """
    relation = statement.node.relation
    path = ident(*(name for name in (relation.schemaname, relation.relname) if name))
    table = scalar(work.link, f"SELECT pg_catalog.to_regclass({literal(path)})::oid::int8")
    now = work.now
    for key, one in now.of_table("constraint", int(table or 0)).items():
        if one["kind"] != "p" or not is_hidden(str(one["name"])):
            continue
        for entry in entries:
            record = entry.operation.get("hidden") or {}
            mine = [each for each in record.get("renamed", ()) if each["oid"] == key.oid]
            if mine:
                work.run(f"ALTER TABLE {path} DROP CONSTRAINT {ident(one['name'])}")
                kept = constraints.kept(one, now) | {
                    "name": mine[0]["from"],
                    "oid": key.oid,
                    "index": one["index"],
                    "standby": f"{record['hidden']}_p",
                }
                return replace(entry, operation=_given_up(entry, kept))
    return None


def _given_up(entry: Entry, kept: primary.Record) -> primary.Record:
    record, told = entry.operation["hidden"], entry.operation
    explained = [[*Key("constraint", kept["oid"]), []], [*Key("index", kept["index"]), []]]
    return told | {
        "hidden": record
        | {
            "primary": kept,
            "renamed": [one for one in record["renamed"] if one["oid"] != kept["oid"]],
            "explains": [*record["explains"], *explained],
        },
        "wanted": [*told.get("wanted", ()), primary.standby_of(kept)],
    }
