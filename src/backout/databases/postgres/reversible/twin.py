"""Hiding a column and putting another one in its place, filled from it in one pass over the rows.

The hidden one keeps its number and whatever hangs on it; the same is made again on the other, under the same names.
"""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible import expressions, numbering, primary
from backout.databases.postgres.reversible.answers import Given
from backout.databases.postgres.reversible.conversion import (
    forget,
    function,
    marker,
    settings,
    watch,
)
from backout.databases.postgres.reversible.dependents import (
    Dependents,
    dependents_of,
    make_again,
    strictness,
)
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.explain import explained
from backout.databases.postgres.reversible.hide import (
    NotHidden,
    hide_column,
    refuse_family,
    show_column,
)
from backout.databases.postgres.reversible.names import LAST, hidden, ident
from backout.databases.postgres.reversible.rows.store import place_in_log
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.ways import columns_of, in_key, way_back
from backout.databases.postgres.reversible.work import Work


def make(
    work: Work, table: int, attnum: int, change: int, type_text: str, using: Any, given: Given
) -> Operation:
    """Put a column of another type in the place of one.

    Args:
        work: The client's transaction.
        table: Oid.
        attnum: The column's number.
        change: Number of the journal row.
        type_text: The new type, with its collation.
        using: Tree of the expression that gives the values.
        given: The user's answers.

    Raises:
        LinkError: A value cannot be converted, or the new column does not suit what hangs on the old one.
        NotHidden: Something hangs on it that there is no way to make again.
        Veto: The way back would not be known.
    """
    before = work.now
    called, path = before.name(Key("column", table, attnum)), work.table_path(table, called="its table")
    refuse_family(before, table, called)
    _refuse_later_trigger(before, table, change)
    found = dependents_of(work, table, attnum)
    filenode = before.things[Key("table", table)]["filenode"]
    numbers = numbering.taken(work, table, attnum)
    record = hide_column(work, table, attnum, change, twin=hidden(change))
    name, mark = ident(found.column["name"]), ident(f"{hidden(change)}_d")
    work.run(f"ALTER TABLE {path} ADD COLUMN {name} {type_text}, ADD COLUMN {mark} boolean")
    numbered = {one["name"]: number for number, one in work.now.columns(table).items()}
    operation: Operation = {
        "form": "twin",
        "table": table,
        "called": called,
        "old": attnum,
        "new": numbered[found.column["name"]],
        "mark": numbered[f"{hidden(change)}_d"],
        "settings": settings(work),
        "fill": given.fill,
        "hidden": record,
        "strict": found.column["not_null"] and not in_key(before, table, attnum),
        "wanted": wanted(table, numbered[f"{hidden(change)}_d"], change, record),
        "rows_since": place_in_log(work.link),
    }
    operation["types"] = [
        before.things[Key("column", table, attnum)]["type_text"],
        work.now.things[Key("column", table, operation["new"])]["type_text"],
    ]
    columns = columns_of(work, operation, own=attnum, name=found.column["name"])
    operation["up"] = [function(work, f"{hidden(change)}_up", using, columns, operation["types"][1])]
    operation["down"] = [way_back(work, operation, f"{hidden(change)}_down", found.column["name"], given)]
    _fill(work, path, name, type_text, using, found, hidden(change))
    numbering.given(work, table, operation["new"], numbers)
    make_again(work, found, table, operation["new"])
    work.run(f"ALTER TABLE {path} ALTER COLUMN {mark} SET DEFAULT true")
    marker(work, change, f"{hidden(change)}_d")
    watch(work, change, table, [operation["new"]])
    told = explained(Difference(before, work.now))
    operation |= {"explains": record["explains"] + told["explains"], "replaces": told["replaces"]}
    operation["filenode"] = [filenode, work.now.things[Key("table", table)]["filenode"]]
    return operation


def unmake(work: Work, change: int, operation: Operation) -> None:
    """Put the earlier column in its place again, as the transaction that made the other one drops it."""
    table, path = operation["table"], work.table_path(operation["table"], called="its table")
    new = work.thing("column", table, operation["new"], called=operation["called"])
    numbers = numbering.taken(work, table, operation["new"])
    forget(work, change, operation)
    work.run(f"ALTER TABLE {path} DROP COLUMN {ident(new['name'])} CASCADE")
    record = operation["hidden"]
    # By the names of now: another column, or type, may have its earlier one.
    show_column(work, record | {"name": new["name"], "default": record["default_then"]})
    numbering.given(work, table, operation["old"], numbers)


def dropped(hiding: Operation, operation: Operation) -> Operation:
    """Return the operation of hiding the earlier column, with what had been hidden of it when it got the other type."""
    record, first = hiding["hidden"], operation["hidden"]
    record["constraints"] = [*first["constraints"], *record["constraints"]]
    record["primary"] = record["primary"] or first["primary"]
    told = {key: operation[key] for key in ("table", "replaces", "filenode")}
    explains = [*operation["explains"], *record["explains"]]
    return hiding | told | {"explains": explains} | primary.kept_by(record)


def again(work: Work, change: int, operation: Operation, using: Any, between: str, given: Given) -> Operation:
    """Return what is to be journalled when the column that took the place has got another type once more.

    Args:
        work: The client's transaction, which is the one that made it.
        change: Number of the journal row.
        operation: What was journalled.
        using: Tree of the expression that gave the values, over the column as it was.
        between: The type that it had until then.
        given: The user's answers.

    Raises:
        Veto: The way back would not be known.
    """
    column = work.thing("column", operation["table"], operation["new"], called=operation["called"])
    old_type = operation["types"][0]
    changed = operation | {"types": [old_type, column["type_text"]], "fill": given.fill}
    count = len(operation["up"]) + 1
    columns = columns_of(work, changed, own=operation["new"], name=column["name"])
    columns[column["name"]] = (0, between)
    up = function(work, f"{hidden(change)}_up{count}", using, columns, column["type_text"])
    changed["up"] = [*operation["up"], up]
    changed["down"] = [
        way_back(work, changed, f"{hidden(change)}_down{count}", column["name"], given, once_more=True)
    ]
    return changed


def wanted(table: int, mark: int, change: int, record: Operation) -> list[Operation]:
    """Return the indexes that are built after the COMMIT: one to find the rows written since, and one for a key."""
    by_mark = {"table": table, "name": f"{hidden(change)}_w", "columns": [], "unique": False, "where": mark}
    return [by_mark] + ([primary.standby_of(record["primary"])] if record["primary"] is not None else [])


def _refuse_later_trigger(now: Snapshot, table: int, change: int) -> None:
    """Refuse a trigger that would change rows after the engine's own had looked at them."""
    for one in now.of_table("trigger", table).values():
        if str(one["name"]).encode() > f"{LAST}{change}".encode() and not one["name"].startswith(LAST):
            raise NotHidden(f"the trigger {one['name']} fires after all others: its name is behind {LAST}")


def _fill(
    work: Work, path: str, name: str, type_text: str, using: Any, found: Dependents, hidden_name: str
) -> None:
    own = found.column["name"]
    value = expressions.over(using, lambda column: hidden_name if column == own else column)
    commands = [f"ALTER COLUMN {name} TYPE {type_text} USING ({value})", *strictness(work, found, name)]
    # Hazard: not in one statement with ADD COLUMN, of which the expression would not see the rows.
    work.rewrite(f"ALTER TABLE {path} {', '.join(commands)}")
