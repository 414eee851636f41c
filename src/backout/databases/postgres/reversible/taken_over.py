"""A dropped column whose values others of its table took over: replaced by a copy, split, or merged.

What is written since is in the others alone. So rows are told by a hidden boolean, as those of a changed type are
(`conversion.py`), and on the way back they get the dropped column's value from what they have: by the user's answer, or by
PostgreSQL's own cast where one column was given the values as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backout.databases.postgres.reversible import expressions, numbering, primary
from backout.databases.postgres.reversible.answers import Given, taken_by_others
from backout.databases.postgres.reversible.conversion import (
    by_index,
    convert,
    function,
    marker,
    settings,
    told_by,
    unwatch,
    watch,
)
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.explain import explained
from backout.databases.postgres.reversible.fill import accepts_null, tell_open, unmark
from backout.databases.postgres.reversible.hide import hide_column, refuse_family, rename
from backout.databases.postgres.reversible.in_keys import in_unique
from backout.databases.postgres.reversible.link import scalar
from backout.databases.postgres.reversible.names import hidden, ident, is_hidden
from backout.databases.postgres.reversible.rows.quiet import quietly
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.ways import if_it_casts
from backout.databases.postgres.reversible.work import Moved, Work

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reader:
    """A column that the migration made and filled, from another one or from nobody knows where.

    Attributes:
        attnum: Its number.
        copies: It was given the other's values as they are, and nothing else.
    """

    attnum: int
    copies: bool


def hide_taken(
    work: Work, table: int, attnum: int, change: int, readers: Sequence[Reader], given: Given
) -> Record:
    """Hide a column whose values others took over; return its journalled operation.

    Args:
        work: The client's transaction.
        table: Oid.
        attnum: Its number.
        change: Number of the journal row.
        readers: Who may have them.
        given: The user's answers.

    Raises:
        NotHidden: It cannot be hidden.
        Veto: The way back would not be known.
    """
    before = work.now
    refuse_family(before, table, before.name(Key("column", table, attnum)))
    way = _way_back(work, table, attnum, f"{hidden(change)}_down", readers, given)
    record, numbers = _hide(work, table, attnum, change)
    record["explains"] += explained(Difference(before, work.now))["explains"]
    marker(work, change, record["marker"])
    told: Record = {
        "down": [way],
        "settings": settings(work),
        "value": _value(work, table, readers, given),
        "numbers": numbers,
    }
    _watch(work, change, table, attnum, told)
    return {"hidden": record, "taken": told, "table": table} | primary.kept_by(record)


def _hide(work: Work, table: int, attnum: int, change: int) -> tuple[Record, Record]:
    """Hide it with a mark for rows written since; one that numbers itself does so no more, or where no other number is."""
    numbers = numbering.taken(work, table, attnum)
    if not numbers:
        return hide_column(work, table, attnum, change, changed=True), numbers
    # Its key is given up, as the other one may be the key now.
    record = hide_column(work, table, attnum, change, changed=True, twin=hidden(change))
    record["written"] = f"{hidden(change)}_w"
    if "serial" in numbers:
        numbering.given(work, table, attnum, numbers)
        called = numbers["called"]
        rename(work, "sequence", numbers["serial"], f"{hidden(change)}_s", called=called)
        record["renamed"].append({"kind": "sequence", "oid": numbers["serial"], "from": called})
    return record, numbers


def through(
    work: Work,
    table: int,
    attnum: int,
    change: int,
    operation: Record,
    readers: Sequence[Reader],
    given: Given,
) -> Record:
    """Return the operation of a column that was taken over by one which the same transaction drops again.

    Args:
        work: The client's transaction, before the other one is dropped.
        table: Oid.
        attnum: The other one.
        change: Number of the journal row.
        operation: As it was journalled.
        readers: Who may have the values of the other one.
        given: The user's answers for that.

    Raises:
        Veto: The way back would not be known.
    """
    told, own = operation["taken"], operation["hidden"]["attnum"]
    if attnum not in _read(told):
        return operation
    unwatch(work, change, table)
    if not readers:
        # Nothing of it is left: rows written since get the default, or their answer.
        return {key: value for key, value in operation.items() if key != "taken"} | {"forgotten": True}
    way = _way_back(work, table, attnum, f"{hidden(change)}_down{len(told['down'])}", readers, given)
    after = [
        step | {"columns": [0 if one == attnum else one for one in step["columns"]]} for step in told["down"]
    ]
    told = told | {"down": [way, *after], "value": _value(work, table, readers, given)}
    _watch(work, change, table, own, told)
    return operation | {"taken": told}


def hide_again(work: Work, table: int, attnum: int, change: int, told: Record) -> Record:
    """Hide it once more, on the way forward; return what of its operation is another."""
    record, numbers = _hide(work, table, attnum, change)
    # What the migration's other changes write on their way is not what later code writes.
    work.at_end.append(lambda: _watch(work, change, table, attnum, told))
    return {"hidden": record, "taken": told | {"numbers": numbers}} | primary.kept_by(record)


def come_back(work: Work, change: int, operation: Record) -> bool:
    """Give the column, which is shown again, its value in the rows written since; tell whether it has to take NULL for some.

    Raises:
        Moved: A column that the value is made of is gone.
    """
    record, told = operation["hidden"], operation["taken"]
    table, attnum, called = record["table"], record["attnum"], record["called"]
    unwatch(work, change, table)
    columns = work.now.columns(table)
    if not _read(told) <= columns.keys():
        raise Moved(called, "cannot be computed: a column that its value is made of is gone")
    path, name, mark = work.table_path(table, called=called), ident(columns[attnum]["name"]), record["marker"]
    given = operation.get("fill")
    value = None if accepts_null(given) else given or record["default"]
    if attnum not in _read(told) and not record["numbers"] and in_unique(work.now, table, attnum):
        # Two rows may have given their values to each other.
        with quietly(work.link, [table], []), by_index(work):
            work.run(f"UPDATE {path} SET {name} = NULL WHERE {ident(mark)}")
    convert(
        work,
        {
            "table": table,
            "called": called,
            "mark": next(number for number, one in columns.items() if one["name"] == mark),
            "settings": told["settings"],
        },
        told["down"],
        to=attnum,
        required=bool(record["not_null"]) and value is not None,
        value=value,
        done="false",
    )
    _number(work, record, told, f"{ident(mark)} IS NOT NULL")
    is_open = record["not_null"] and _without_value(work, path, name, mark)
    unmark(work, record)
    if is_open:
        tell_open(work, table, attnum, called)
    return bool(is_open)


def _way_back(
    work: Work, table: int, attnum: int, name: str, readers: Sequence[Reader], given: Given
) -> Record:
    """Make the function that gives the dropped column's value."""
    columns = work.now.columns(table)
    own, called = columns[attnum], work.now.name(Key("column", table, attnum))
    if given.back is not None:
        there = {
            one["name"]: (number, one["type_text"])
            for number, one in columns.items()
            if not is_hidden(one["name"])
        }
        return function(work, name, expressions.parsed(given.back), there, own["type_text"])
    made = None
    if len(readers) == 1 and readers[0].copies:
        taker = columns[readers[0].attnum]
        there = {taker["name"]: (readers[0].attnum, taker["type_text"])}
        made = if_it_casts(work, name, ident(taker["name"]), there, own["type_text"])
    if made is None:
        takers = [work.now.name(Key("column", table, one.attnum)) for one in readers]
        raise taken_by_others(called, takers)
    return made


def _value(work: Work, table: int, readers: Sequence[Reader], given: Given) -> str:
    """Return what the value is made of, for people."""
    return given.back or str(work.now.columns(table)[readers[0].attnum]["name"])


def _watch(work: Work, change: int, table: int, attnum: int, told: Record) -> None:
    """Have the rows marked in which something changes that the value is made of."""
    columns = {n: one for n, one in work.now.columns(table).items() if not is_hidden(str(one["name"]))}
    if watched := told_by(columns, sorted(_read(told) - {attnum})):
        watch(work, change, table, watched)


def _read(told: Record) -> set[int]:
    """Return the numbers of the columns that the way back reads."""
    return {attnum for step in told["down"] for attnum in step["columns"]} - {0}


def _number(work: Work, record: Record, told: Record, since: str) -> None:
    """Have it number itself again, behind all numbers that were given since."""
    table, attnum = record["table"], record["attnum"]
    if "identity" in told["numbers"]:
        numbering.given(work, table, attnum, told["numbers"])
    takers = sorted(_read(told) - {attnum})
    numbering.advance(work, table, attnum, since, besides=takers[0] if len(takers) == 1 else None)


def _without_value(work: Work, path: str, name: str, mark: str) -> bool:
    found = f"SELECT EXISTS (SELECT FROM {path} WHERE {ident(mark)} IS NOT NULL AND {name} IS NULL)"
    return scalar(work.link, found) == "t"
