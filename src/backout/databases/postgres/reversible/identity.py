"""Where an identity has come to, and that whatever numbers a column after it goes on from there."""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.link import objects
from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.work import Work

Numbers = dict[str, Any]


def numbers_of(work: Work, table: int, attnum: int) -> Numbers | None:
    """Return what `numbering.given` needs to give a column its identity again; None: it has none."""
    column = work.thing("column", table, attnum, called=f"column {attnum}")
    if not column["identity"]:
        return None
    key = next(
        key
        for key, one in work.now.things.items()
        if key.kind == "sequence" and one["owned_by"] == [table, attnum, "i"]
    )
    path = work.path("sequence", key.oid, called=f"the sequence of {column['name']}")
    state = objects(work.link, f"SELECT last_value, is_called FROM {path}")[0]
    sequence = work.now.things[key]
    return {
        "identity": column["identity"],
        "sequence": sequence,
        "state": state,
        "type": column["type_text"],
    }


def go_on(work: Work, table: int, attnum: int, *, after: int | None) -> None:
    """Let what numbers a column, if anything does, go on where no row has a number yet.

    Args:
        work: The transaction, in which the column is as it is to be.
        table: Oid.
        attnum: The column's number.
        after: Where something else has come to that numbered it before.
    """
    sequence = numbered_by(work, table, attnum)
    if sequence is None:
        return
    one = work.thing("sequence", sequence, called="the sequence")
    up = one["increment"] > 0
    path = work.path("sequence", sequence, called=one["name"])
    told = [after] if after is not None else []
    # Only an index makes it quick, and without one nothing would be there twice that must not be.
    if any(i["columns"][:1] == [attnum] and not i["predicate"] for i in work.now.of_table("index", table).values()):  # fmt: skip
        column = ident(work.thing("column", table, attnum, called="column")["name"])
        last = f"SELECT {'max' if up else 'min'}({column})::int8 AS value FROM {work.table_path(table, called='table')}"
        told += [row["value"] for row in objects(work.link, last) if row["value"] is not None]
    now = objects(work.link, f"SELECT last_value, is_called FROM {path}")[0]
    reached = now["last_value"] if now["is_called"] else now["last_value"] - one["increment"]
    furthest = max(told, default=reached) if up else min(told, default=reached)
    if (furthest > reached) is up and furthest != reached:
        work.run(f"SELECT pg_catalog.setval({literal(path)}, {furthest})")


def numbered_by(work: Work, table: int, attnum: int) -> int | None:
    """Return the oid of the sequence that a column's identity or default asks; None: there is none."""
    found = objects(
        work.link,
        f"""SELECT d.objid::int8 AS oid FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
          AND d.refclassid = d.classid AND d.refobjid = {table} AND d.refobjsubid = {attnum} AND d.deptype = 'i'
        UNION ALL SELECT d.refobjid::int8 FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_depend d
          ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
        WHERE f.adrelid = {table} AND f.adnum = {attnum}""",
    )
    there = [one["oid"] for one in found if Key("sequence", one["oid"]) in work.now.things]
    return there[0] if there else None
