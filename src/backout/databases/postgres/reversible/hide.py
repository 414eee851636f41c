"""Hiding a column: the one list of what has to be relaxed, for what a release drops and for what a way back takes away.

A hidden column is still there, with every value, under a name made of its journal row's number. Nothing of it may act on
those who do not know it: not its NOT NULL, foreign keys, CHECKs, or names.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from backout.databases.postgres.reversible import constraints, primary
from backout.databases.postgres.reversible.difference import differences_of
from backout.databases.postgres.reversible.in_keys import in_unique, is_to_come, speaks_of
from backout.databases.postgres.reversible.names import (
    COMMENT,
    REQUIRED,
    SCHEMA,
    hidden,
    ident,
    is_hidden,
    literal,
)
from backout.databases.postgres.reversible.relatives import below, columns_below, why_not_one
from backout.databases.postgres.reversible.relax import relax
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing
from backout.databases.postgres.reversible.work import Work

Record = dict[str, Any]


class NotHidden(Exception):
    """A column cannot be hidden; the message says why."""


def hide_column(
    work: Work,
    table: int,
    attnum: int,
    change: int,
    *,
    marked: bool = False,
    changed: bool = False,
    twin: str | None = None,
    keyless: bool = False,
    gone: bool = False,
) -> Record:
    """Hide a column.

    Args:
        work: The transaction.
        table: Oid.
        attnum: Its number in the table.
        change: Number of the journal row.
        marked: Rows written since have to be told, for there is an answer for them.
        changed: So have rows that are changed, by the caller's trigger: they and the new ones are told by a column.
        twin: The hidden name, where another column takes its place with the same keys: rows written since are told by
            the caller, and a primary key is given up, as it is where nothing would give the column its values.
        keyless: A primary key is given up in any case.
        gone: The migration dropped it: keys over it that were dropped before it come back, too.

    Returns:
        What `show_column` needs, and who explains the differences it makes (`explains`).

    Raises:
        NotHidden: It has something that there is no way to relax.
    """
    now = work.now
    column = work.thing("column", table, attnum, called=f"column {attnum}")
    path = work.table_path(table, called=now.name(Key("table", table)))
    was = work.was(Key("column", table, attnum)) or column
    name = twin or hidden(change)
    to_come = gone and is_to_come(work, table, attnum)
    may_hide(now, table, attnum)
    if twin is not None:
        refuse_family(now, table, now.name(Key("column", table, attnum)))
    record: Record = {
        "table": table,
        "attnum": attnum,
        "called": now.name(Key("column", table, attnum)),
        "name": was["name"],
        "hidden": name,
        "not_null": was["not_null"],
        "default": was["default_text"],
        "default_then": column["default_text"],
        "default_calls": "FUNCEXPR" in str(was["default"]),
        "alone_unique": in_unique(now, table, attnum, alone=True)
        or (to_come and is_to_come(work, table, attnum, alone=True)),
        "comment": was["comment"],
        "constraints": drop_constraints(work, now, table, attnum),
        "primary": None
        if twin is None and not keyless and numbers_itself(now, table, attnum, column)
        else primary.given_up(work, now, table, attnum, name),
        "renamed": _rename_indexes(work, now, table, attnum, name)
        + _rename_below(work, now, table, column["name"], name)
        + _rename_sequence(work, now, table, attnum, name),
        "explains": [],
    }
    work.run(f"ALTER TABLE {path} RENAME COLUMN {ident(column['name'])} TO {ident(name)}")
    record |= relax(
        work,
        path,
        column,
        name,
        unique=twin is not None or in_unique(now, table, attnum) or record["alone_unique"],
        unmarked=to_come,
        kept=numbers_itself(now, table, attnum, column),
        marked=marked,
        changed=changed,
    )
    if was["not_null"] and not column["not_null"]:
        record["relaxed"] = True  # by this transaction, before
    second = {key: record[key] for key in ("called", "name", "not_null", "default", "comment")}
    work.run(f"COMMENT ON COLUMN {path}.{ident(name)} IS {literal(COMMENT + json.dumps(second))}")
    guard(work, table, attnum, record)
    # By this index, which is built after the COMMIT, rows written since are found; without a mark there is nothing to find.
    told = record["mark"] is not None or record["marker"] is not None or record["relaxed"]
    by_values = not record["numbers"] or record["marker"] is not None
    record["written"] = f"{name}_w" if told and by_values and twin is None else None
    record["explains"] = _explained(record, table, attnum) + _explained_below(now, work.now, table)
    return record


def guard(work: Work, table: int, attnum: int, record: Record) -> None:
    """Make a positional INSERT or COPY into a hidden column an error, where one could reach it.

    It can where a visible column comes after it. Where the hidden one gets its values by itself nothing is guarded; where
    the type has no value to spare, a NULL in its place is not caught.
    """
    if (
        not _is_reached(work.now, table, attnum)
        or record["numbers"]
        or _has_no_guard(work.now, table, attnum)
    ):
        return
    path = work.table_path(table, called=record["called"])
    if any(one["name"] == record["hidden"] for one in work.now.of_table("trigger", table).values()):
        return
    name = ident(record["hidden"])
    words = f"column {record['called']} is hidden by backout: name the columns in INSERT or COPY, as their order is not what it was"
    reached = f"NEW.{name} IS DISTINCT FROM {record['mark'] or 'NULL'}"
    if record["marker"] is not None:
        reached += f" OR NEW.{ident(record['marker'])} IS NOT TRUE"
    work.run(
        f"CREATE TRIGGER {name} BEFORE INSERT ON {path} FOR EACH ROW WHEN ({reached}) "
        f"EXECUTE FUNCTION {SCHEMA}.refuse({literal(words)})"
    )


def uncaught(now: Snapshot, record: Record) -> str | None:
    """Return what a positional INSERT or COPY can put into a hidden column unnoticed: `value`, `NULL`, or None."""
    if not _is_reached(now, record["table"], record["attnum"]):
        return None
    if record["numbers"] or _has_no_guard(now, record["table"], record["attnum"]):
        return "value"
    return None if record["mark"] is not None or record["marker"] is not None else "NULL"


def _has_no_guard(now: Snapshot, table: int, attnum: int) -> bool:
    """Tell whether rows come into a table otherwise: an UPDATE that moves one to another partition inserts it there."""
    thing, column = now.things[Key("table", table)], now.things[Key("column", table, attnum)]
    return bool(thing["kind"] == "p" or thing["bound"] or column["inherited"]) or now.has_children(table)


def _is_reached(now: Snapshot, table: int, attnum: int) -> bool:
    """Tell whether a visible column comes after one: what is written by position reaches it then."""
    return any(other > attnum for other, one in now.columns(table).items() if not is_hidden(one["name"]))


def show_column(work: Work, record: Record) -> None:
    """Undo `hide_column`; what rows written since have in it is filled in by the caller, before `require_column`.

    Raises:
        Moved: Something is not as it was left.
    """
    table, attnum, called = record["table"], record["attnum"], record["called"]
    path = work.table_path(table, called=called)
    hidden_name = ident(work.thing("column", table, attnum, called=called)["name"])
    if any(one["name"] == record["hidden"] for one in work.now.of_table("trigger", table).values()):
        work.run(f"DROP TRIGGER {ident(record['hidden'])} ON {path}")
    work.run(f"ALTER TABLE {path} RENAME COLUMN {hidden_name} TO {ident(record['name'])}")
    # Before the default, which may name a sequence that it owns.
    for one in record["renamed"]:
        if not one.get("below"):
            rename(work, one["kind"], one["oid"], one["from"], called=one["from"])
    rename_indexes(work, {one["oid"]: one["from"] for one in record["renamed"] if one.get("below")})
    column = f"{path}.{ident(record['name'])}"
    work.run(f"COMMENT ON COLUMN {column} IS {literal(record['comment'])}")
    if not record["numbers"] and (record["mark"] is not None or record["default"] is not None):
        to = f"SET DEFAULT {record['default']}" if record["default"] is not None else "DROP DEFAULT"
        work.run(f"ALTER TABLE {path} ALTER COLUMN {ident(record['name'])} {to}")


def require_column(work: Work, record: Record) -> None:
    """Put back what was relaxed, without looking at the rows: that is left for after the COMMIT."""
    if record["relaxed"]:
        require_value(work, record["table"], record["attnum"], record["called"], record["hidden"])
    if record["primary"] is not None:
        primary.taken_up(work, record["primary"])
    for one in record["constraints"]:
        # The key that a foreign key leads to may come back after it.
        work.at_end.append(partial(constraints.add, work, one))


def require_value(work: Work, table: int, attnum: int, called: str, mark: str) -> None:
    """Make a column NOT NULL for what is written from now on; `after.py` makes it so for what is there."""
    path = work.table_path(table, called=called)
    name = ident(work.thing("column", table, attnum, called=called)["name"])
    work.run(f"ALTER TABLE {path} ADD CONSTRAINT {ident(f'{mark}_nn')} CHECK ({name} IS NOT NULL) NOT VALID")


def require_no_value(work: Work, table: int, attnum: int, called: str) -> None:
    """Let a column be NULL, also where it is NOT NULL for the time being only."""
    path = work.table_path(table, called=called)
    for one in work.now.of_table("constraint", table).values():
        if one["columns"] == [attnum] and REQUIRED.fullmatch(str(one["name"])):
            work.run(f"ALTER TABLE {path} DROP CONSTRAINT {ident(one['name'])}")
    name = ident(work.thing("column", table, attnum, called=called)["name"])
    work.run(f"ALTER TABLE {path} ALTER COLUMN {name} DROP NOT NULL")


def rename(work: Work, kind: str, oid: int, to: str, *, called: str) -> None:
    """Give an index, constraint or sequence a name."""
    thing = work.thing(kind, oid, called=called)
    if thing["name"] == to:
        return
    if kind == "constraint":
        table = work.table_path(thing["table"], called=called)
        work.run(f"ALTER TABLE {table} RENAME CONSTRAINT {ident(thing['name'])} TO {ident(to)}")
        return
    word = {"index": "INDEX", "sequence": "SEQUENCE"}[kind]
    work.run(f"ALTER {word} {work.path(kind, oid, called=called)} RENAME TO {ident(to)}")


def rename_indexes(work: Work, names: dict[int, str]) -> None:
    """Give the indexes of partitions names, those that are there still; the catalog is read once, as they may be many."""
    now = work.now
    for oid, to in names.items():
        thing = now.things.get(Key("index", oid))
        if thing is not None and thing["name"] != to:
            path = ident(str(now.things[Key("schema", thing["schema"])]["name"]), str(thing["name"]))
            work.run(f"ALTER INDEX {path} RENAME TO {ident(to)}")


def may_hide(
    now: Snapshot, table: int, attnum: int, *, goes: Callable[[Key], bool] = lambda _index: False
) -> None:
    """Do nothing, if a column can be hidden.

    Args:
        now: The catalog.
        table: Oid.
        attnum: The column's number.
        goes: Tells which indexes are dropped before.

    Raises:
        NotHidden: It has something that there is no way to relax.
    """
    column, called = now.things[Key("column", table, attnum)], now.name(Key("column", table, attnum))
    if (why := why_not_one(now, table, attnum)) is not None:
        raise NotHidden(f"{called} {why}")
    if now.things[Key("table", table)]["kind"] == "f":
        raise NotHidden(
            f"{called} is of a foreign table, and the other server would be asked for it by its hidden name"
        )
    if _refuses_null(now, column["type"]):
        raise NotHidden(f"{called} is of a domain that takes no NULL")
    for key, one in now.of_table("index", table).items():
        if goes(key):
            continue
        # Where it is a key itself, NULL in it excludes nothing.
        if one["exclusion"] and attnum not in one["columns"] and speaks_of(one, attnum):
            raise NotHidden(f"{called} is in an expression of the exclusion constraint {one['name']}")
        if attnum in one["columns"] and one["nulls_not_distinct"]:
            raise NotHidden(
                f"{called} is in the index {one['name']}, for which NULLs are not distinct, and rows written since would "
                "all have NULL; drop that index by a statement of its own before"
            )
        if attnum in one["columns"] and one["replica_identity"]:
            raise NotHidden(f"{called} is in the index {one['name']}, which is the replica identity")


def refuse_family(now: Snapshot, table: int, called: str) -> None:
    """Refuse a table that is not one by itself.

    Raises:
        NotHidden: It is partitioned, or inherits or is inherited from.
    """
    thing = now.things[Key("table", table)]
    if thing["kind"] != "r" or thing["parents"]:
        raise NotHidden(f"{called} is of a table that is partitioned, a partition or inherits")
    if now.has_children(table):
        raise NotHidden(f"{called} is of a table that others inherit from")


def _refuses_null(now: Snapshot, oid: int) -> bool:
    """Tell whether a type is a domain that may take no NULL: whose CHECK looks for it, or which is one of such a one."""
    one = now.things.get(Key("type", oid))
    if one is None or one["kind"] != "d":
        return False
    checks = [c for c in now.things.values() if c.get("of_domain") == oid]
    looks = any(word in str(c["expression"]) for c in checks for word in ("NULLTEST", "COALESCE"))
    return bool(one["not_null"]) or looks or _refuses_null(now, one["base"])


def numbers_itself(now: Snapshot, table: int, attnum: int, column: Thing) -> bool:
    """Tell whether a column gets a value by itself that is another one each time: it goes on being kept."""
    owned = any(
        key.kind == "sequence" and (one["owned_by"] or [])[:2] == [table, attnum]
        for key, one in now.things.items()
    )
    return bool(column["identity"]) or bool(column["generated"]) or owned


def drop_constraints(work: Work, now: Snapshot, table: int, attnum: int) -> list[Record]:
    """Take away the foreign keys from and to a column and the CHECKs on it; return them."""
    found = []
    for key, one in now.things.items():
        if key.kind != "constraint" or one["kind"] not in ("f", "c") or one["parent"]:
            continue
        here = one["table"] == table and attnum in (one["columns"] or ())
        there = one["to_table"] == table and attnum in (one["to_columns"] or ())
        if here or there:
            path = work.table_path(one["table"], called=one["name"])
            work.run(f"ALTER TABLE {path} DROP CONSTRAINT {ident(one['name'])}")
            if (was := work.was(key)) is not None:
                found.append(constraints.kept(was, work.begun or now) | {"oid": key.oid})
    return found


def _rename_indexes(work: Work, now: Snapshot, table: int, attnum: int, name: str) -> list[Record]:
    found: list[Record] = []
    for key, one in now.of_table("index", table).items():
        if not speaks_of(one, attnum) or key not in work.now.things:
            continue
        owner = next(
            (
                k
                for k, c in now.things.items()
                if k.kind == "constraint" and c["index"] == key.oid and c["kind"] in "pux"
            ),
            None,
        )
        kind, oid = ("constraint", owner.oid) if owner is not None else ("index", key.oid)
        if (was := work.was(key)) is None:
            _drop_index(work, kind, oid, one)
            continue
        to = f"{name}_i{len(found)}"
        rename(work, kind, oid, to, called=one["name"])
        found.append({"kind": kind, "oid": oid, "from": was["name"], "index": key.oid})
    return found


def _rename_below(work: Work, now: Snapshot, table: int, column: str, name: str) -> list[Record]:
    """Rename the indexes over the column of the tables below; a partition that is dropped since takes its own along."""
    found: list[Record] = []
    family = columns_below(now, table, column)
    there = work.now.things if family else {}
    for own in family:
        for key, one in now.of_table("index", own.oid).items():
            was = work.was(key)
            if was is None or key not in there or not speaks_of(one, own.sub):
                continue
            found.append({"kind": "index", "oid": key.oid, "from": was["name"], "below": True})
    rename_indexes(work, {one["oid"]: f"{name}_b{one['oid']}" for one in found})
    return found


def _drop_index(work: Work, kind: str, oid: int, index: Thing) -> None:
    """Drop an index that the transaction itself has made: no way back leads to it."""
    if kind == "constraint":
        path, name = (
            work.table_path(index["table"], called=index["name"]),
            work.now.things[Key(kind, oid)]["name"],
        )
        work.run(f"ALTER TABLE {path} DROP CONSTRAINT {ident(name)}")
    else:
        work.run(f"DROP INDEX {work.path('index', oid, called=index['name'])}")


def _rename_sequence(work: Work, now: Snapshot, table: int, attnum: int, name: str) -> list[Record]:
    found = []
    for key, one in now.things.items():
        if key.kind == "sequence" and (one["owned_by"] or [])[:2] == [table, attnum]:
            rename(work, "sequence", key.oid, f"{name}_s", called=one["name"])
            found.append({"kind": "sequence", "oid": key.oid, "from": one["name"]})
    return found


def _explained_below(before: Snapshot, after: Snapshot, table: int) -> list[list[Any]]:
    """Return every difference that hiding a column makes in the tables below."""
    tables = set(below(before, table))
    return differences_of(before, after, tables) if tables else []


def _explained(record: Record, table: int, attnum: int) -> list[list[Any]]:
    """Return kind, oid, sub and values of every difference that hiding makes."""
    found: list[list[Any]] = [["column", table, attnum, ["name", "not_null", "default", "comment"]]]
    found += [["constraint", one["oid"], 0, []] for one in record["constraints"]]
    if record["primary"] is not None:
        found += [
            ["constraint", record["primary"]["oid"], 0, []],
            ["index", record["primary"]["index"], 0, []],
        ]
    for one in record["renamed"]:
        found.append([one["kind"], one["oid"], 0, ["name"]])
        if "index" in one:
            found.append(["index", one["index"], 0, ["name"]])
    return found
