"""A dropped table whose rows another one has, which its migration made: built anew, with other columns or another key.

What is written since is in the other alone. A trigger logs the keys of rows that are written there, as text; on the way
back the dropped table gets those rows, and loses what was deleted. While the other one is hidden, it goes the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backout.databases.postgres.reversible import answers, expressions
from backout.databases.postgres.reversible.conversion import function, settings
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.hide import NotHidden, refuse_family
from backout.databases.postgres.reversible.key_log import Side, side_of, watch
from backout.databases.postgres.reversible.names import hidden, ident
from backout.databases.postgres.reversible.origins import Origins, Pour
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.updates import copied_from
from backout.databases.postgres.reversible.verdict import made_anew
from backout.databases.postgres.reversible.ways import if_it_casts
from backout.databases.postgres.reversible.work import Work

Record = dict[str, Any]


class NotPaired(Exception):
    """The two tables cannot be kept the same; the message says why."""


def paired(work: Work, dropped: int, made: int, change: int, pour: Pour, given: dict[str, str]) -> Record:
    """Pair a table, before it is dropped, with the one that has its rows; return what the journal has to know.

    Args:
        work: The client's transaction.
        dropped: Oid.
        made: Oid of the other one.
        change: Number of the journal row.
        pour: The only statement that has filled it.
        given: The user's answers.

    Raises:
        NotPaired: The way back would not be known.
        Veto: An answer is needed.
    """
    for one in (dropped, made):
        try:
            refuse_family(work.now, one, work.now.name(Key("table", one)))
        except NotHidden as error:
            raise NotPaired(str(error)) from None
    old, new = side_of(work, dropped), side_of(work, made)
    if pour.values is None:
        raise NotPaired("its rows were not taken over one by one")
    numbers = {str(one["name"]): attnum for attnum, one in new.columns.items()}
    if not pour.values.keys() <= numbers.keys():
        raise NotPaired("columns of the other one have got other names since it was filled")
    values = {numbers[name]: tree for name, tree in pour.values.items()}
    own = {str(one["name"]): (attnum, str(one["type_text"])) for attnum, one in old.columns.items()}
    carried = _carried(values, own)
    old_key = _primary_key(work, old)
    if not old_key or not set(old_key) <= carried.keys():
        raise NotPaired("it has no primary key that the other one has taken over as it is")
    new_key = [carried[attnum] for attnum in old_key]
    if not _is_unique(work, made, new_key):
        raise NotPaired("what is its primary key is no unique key of the other one")
    old, new = side_of(work, dropped, old_key), side_of(work, made, new_key)
    watch(work, change, new)
    return {
        "dropped": {"table": dropped, "key": old_key, "called": work.now.name(Key("table", dropped))},
        "made": {"table": made, "key": new_key, "called": work.now.name(Key("table", made))},
        "back": _back(work, change, old, new, values, carried, given),
        "forth": _forth(work, change, new, values, own),
        "settings": settings(work),
    }


def _carried(values: dict[int, Any], own: dict[str, tuple[int, str]]) -> dict[int, int]:
    """Return which columns were taken over as they are: of the one table, those of the other. Pure."""
    found: dict[int, int] = {}
    for attnum, tree in values.items():
        name = copied_from(tree)
        if name is not None and name in own:
            found.setdefault(own[name][0], attnum)
    return found


def _primary_key(work: Work, side: Side) -> list[int]:
    """Return the columns of a table's primary key; of one that the transaction has dropped before, which comes back with it."""
    for catalog in (work.now, work.begun or work.now):
        for one in catalog.of_table("index", side.table).values():
            if one["primary"]:
                return [attnum for attnum in one["columns"] if attnum]
    return []


def _is_unique(work: Work, table: int, key: list[int]) -> bool:
    """Tell whether a table has a key of these columns, in whatever order."""
    return any(
        one["unique"] and one["valid"] and sorted(one["columns"]) == sorted(key) and one["predicate"] is None
        for one in work.now.of_table("index", table).values()
    )


def _back(
    work: Work,
    change: int,
    old: Side,
    new: Side,
    values: dict[int, Any],
    carried: dict[int, int],
    given: dict[str, str],
) -> dict[str, Record]:
    """Return how the dropped table's columns follow from the other's, by attnum; what is left out was not taken over."""
    there = {str(one["name"]): (n, str(one["type_text"])) for n, one in new.columns.items()}
    spoken = {name for tree in values.values() for name in expressions.named(tree)}
    called = work.now.name(Key("table", old.table))
    ways: dict[str, Record] = {}
    for attnum, one in old.columns.items():
        if one["generated"]:
            continue
        column, name = f"{called}.{one['name']}", f"{hidden(change)}_down{attnum}"
        answer = answers.for_retyped(column, given)
        if answer.back is not None:
            ways[str(attnum)] = function(work, name, expressions.parsed(answer.back), there, one["type_text"])
        elif attnum in carried:
            taker = new.columns[carried[attnum]]
            by = {str(taker["name"]): (carried[attnum], str(taker["type_text"]))}
            way = if_it_casts(work, name, ident(str(taker["name"])), by, one["type_text"])
            if way is None:
                raise answers.taken_by_others(
                    column, [f"{work.now.name(Key('table', new.table))}.{taker['name']}"]
                )
            ways[str(attnum)] = way
        elif one["name"] in spoken:
            takers = [
                work.now.name(Key("column", new.table, n))
                for n, tree in values.items()
                if one["name"] in expressions.named(tree)
            ]
            raise answers.taken_by_others(column, takers)
        elif one["not_null"] and one["default"] is None and not one["identity"]:
            raise answers.taken_by_others(column, [work.now.name(Key("table", new.table))])
    return ways


def _forth(
    work: Work, change: int, new: Side, values: dict[int, Any], own: dict[str, tuple[int, str]]
) -> dict[str, Record]:
    """Return how the other table's columns follow from the dropped one's, as the migration made them."""
    return {
        str(attnum): function(
            work, f"{hidden(change)}_up{attnum}", tree, own, str(new.columns[attnum]["type_text"])
        )
        for attnum, tree in values.items()
        if not new.columns[attnum]["generated"]
    }


def refuse_unpaired(origins: Origins, now: Snapshot, operations: Sequence[tuple[str, Operation]]) -> None:
    """Refuse, before a COMMIT, a dropped table whose rows another one has that the migration has made, if the two are not kept the same.

    Args:
        origins: Where rows come from.
        now: The catalog before the COMMIT.
        operations: Kind and operation of all that the migration has changed so far, this transaction included.

    Raises:
        Veto: There is one.
    """
    made = {
        op["table"]
        for kind, op in operations
        if kind == "table.added" and Key("table", op["table"]) in now.things
    }
    filled = {table for kind, op in operations if kind == "rows" for table in op.get("filled", ())} & made
    for kind, op in operations:
        if kind != "table.hidden":
            continue
        dropped, told = op["hidden"]["table"], op.get("rebuilt")
        paired = {told["made"]["table"]} if told is not None else set(op.get("left", ()))
        others = {*origins.takers(dropped, made), *(filled - origins.pours.keys())} - paired
        if others:
            names = [now.name(Key("table", one)) for one in sorted(others)]
            raise made_anew(op["hidden"]["called"], names, "not each of its rows can be found there")
        if told is not None and (changed := _changed(origins, now, told)):
            names = [told["made"]["called"]]
            raise made_anew(
                op["hidden"]["called"], names, f"the migration has changed {', '.join(changed)} there since"
            )


def _changed(origins: Origins, now: Snapshot, told: Operation) -> list[str]:
    """Return the columns from which the dropped table's values follow, and that the migration has changed itself."""
    table = told["made"]["table"]
    read = {attnum for way in told["back"].values() for attnum in way["columns"]}
    columns = now.columns(table)
    changed = read & origins.updated.get(table, set())
    return sorted(str(columns[attnum]["name"]) for attnum in changed if attnum in columns)
