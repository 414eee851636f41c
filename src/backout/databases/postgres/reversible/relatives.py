"""Tables that share columns with others: partitions, and what inherits. Pure.

What is done to a column of one goes through all below it, by PostgreSQL itself, where each of them has that column from it alone.
"""

from __future__ import annotations

from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing


def below(now: Snapshot, table: int) -> list[int]:
    """Return the oids of the tables below one, at every level, nearer ones first."""
    found: list[int] = []
    layer = [table]
    while layer:
        children = [child for one in layer for child in now.children(one)]
        layer = [one for one in dict.fromkeys(children) if one not in found]
        found += layer
    return found


def columns_below(now: Snapshot, table: int, name: str) -> dict[Key, Thing]:
    """Return the columns of that name of the tables below one."""
    return {
        Key("column", oid, attnum): one
        for oid in below(now, table)
        for attnum, one in now.columns(oid).items()
        if one["name"] == name
    }


def why_not_one(now: Snapshot, table: int, attnum: int) -> str | None:
    """Tell why a column cannot be hidden together with those of the tables below; None: it can, or there is none."""
    column = now.things[Key("column", table, attnum)]
    if column["inherited"]:
        return "is inherited"
    family = columns_below(now, table, column["name"])
    if not family:
        return None
    if any(attnum in one["columns"] for one in now.of_table("index", table).values() if one["primary"]):
        return "is in the primary key of a table that others are partitions of, or inherit from"
    for key, one in family.items():
        called = now.name(key)
        if one["local"] or one["inherited"] > 1:
            return f"is a column of {now.name(Key('table', key.oid))}, too, by its own: there a plain DROP would keep it"
        if one["default"] != column["default"] and one["default_text"] != column["default_text"]:
            return f"has another default in {called}"
        if one["not_null"] != column["not_null"]:
            return f"need not have a value in one of them, and must in the other: {called}"
        for other in now.of_table("constraint", key.oid).values():
            own = other["local"] and not other["parent"] and other["kind"] in "cfx"
            if own and key.sub in (other["columns"] or ()):
                return f"is in {other['name']}, a constraint of {now.name(Key('table', key.oid))} alone"
        for other in now.of_table("index", key.oid).values():
            if (other["unique"] or other["exclusion"]) and key.sub not in other["columns"] and _reads(other, key.sub):  # fmt: skip
                return f"is read by the unique index {other['name']}"
    return None


def _reads(index: Thing, attnum: int) -> bool:
    return f":varattno {attnum} " in f"{index['expressions'] or ''} {index['predicate'] or ''}"
