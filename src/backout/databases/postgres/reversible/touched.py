"""What a single statement did to the catalog, for an observer who has to explain it when the transaction ends. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from backout.databases.postgres.reversible.difference import Change, Difference
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.parse import Statement, object_of
from backout.databases.postgres.reversible.passes import detaches, dropped_constraints, drops_identity
from backout.databases.postgres.reversible.retype import retypes_column
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.textual import KINDS, is_textual

_FUNCTIONS = ("OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE")
_TYPE = {"type", "modifier", "collation"}
_IDENTITY = frozenset({"identity"})


class Taken(NamedTuple):
    """One thing that a statement took away, replaced or changed.

    Attributes:
        key: Its identity.
        values: What was changed; empty: all of it.
        after: What it was made into; None: it is gone.
    """

    key: Key
    values: frozenset[str]
    after: dict[str, Any] | None


def taken_by(statement: Statement, before: Snapshot, after: Snapshot, *, refused: bool) -> list[Taken]:
    """Return what a statement did that nothing but itself explains.

    Args:
        statement: One that backout would not have run.
        before: The catalog before it.
        after: The catalog after it.
        refused: Backout would have refused it, whatever it did.
    """
    left = list(Difference(before, after).left.values())
    gone = {_place(change) for change in left if change.after is None}
    identities = drops_identity(statement)
    constraints = dropped_constraints(statement)  # the transaction's difference explains them
    return [
        Taken(change.key, _IDENTITY, change.after)
        for change in left
        if not refused and identities and change.values & _IDENTITY
    ] + [
        Taken(change.key, _values(change), change.after)
        for change in left
        if refused
        or (
            _is_its_own(statement, change, gone)
            and not _is_told(statement, change, before, after)
            and not (change.after is None and change.thing["name"] in constraints)
        )
    ]


def _is_its_own(statement: Statement, change: Change, gone: set[tuple[Any, ...]]) -> bool:
    if change.after is None or detaches(statement):
        return True
    if statement.kind == "truncate_stmt":
        return "filenode" in change.values
    if not retypes_column(statement):
        return False
    if change.before is None:
        return change.key.kind in ("index", "constraint") and _place(change) in gone  # built anew
    return change.key.kind != "column" or bool(change.values & _TYPE)


def _is_told(statement: Statement, change: Change, before: Snapshot, after: Snapshot) -> bool:
    """Tell whether something has gone that is dropped for real, so that the transaction's difference explains it."""
    if change.after is not None:
        return False
    kind = change.key.kind
    if kind in KINDS and is_textual(before, change.key):
        return kind == "statistics object" or Key("table", change.thing["table"]) in after.things
    if kind == "constraint":
        of_function = statement.kind == "drop_stmt" and object_of(statement) in _FUNCTIONS
        return of_function and Key("table", change.thing["table"]) in after.things
    return kind == "policy" and Key("table", change.thing["table"]) in after.things


def _values(change: Change) -> frozenset[str]:
    return frozenset() if change.before is None or change.after is None else change.values


def _place(change: Change) -> tuple[Any, ...]:
    return change.key.kind, change.thing.get("table"), change.thing["name"]


def same_by_name(before: Snapshot, tried: Snapshot, real: Snapshot) -> dict[Key, Key]:
    """Return what was made when something was tried, and was undone, and what was made by that name when it was done.

    Args:
        before: The catalog before both.
        tried: It after the one.
        real: It after the other.
    """
    made = {(key.kind, real.name(key), key.sub): key for key in real.things.keys() - before.things.keys()}
    pairs = {key: (key.kind, tried.name(key), key.sub) for key in tried.things.keys() - before.things.keys()}
    return {key: made[called] for key, called in pairs.items() if called in made}


def counts(difference: Difference, taken: Taken) -> bool:
    """Tell whether what a statement did is still so in the difference of its whole transaction."""
    change = difference.left.get(taken.key)
    if change is None or (taken.after is None) != (change.after is None):
        return False
    return not taken.values or bool(change.values & taken.values)


def retyped(before: Snapshot, taken: list[Taken]) -> list[tuple[str, Operation]]:
    """Return the changes of types among what a statement did, as the journal tells of them; with the table, if it was written anew."""
    anew = {one.key.oid for one in taken if one.key.kind == "table" and "filenode" in one.values}
    return [
        (
            "column.retyped",
            {
                "table": one.key.oid if one.key.oid in anew else 0,
                "called": before.name(one.key),
                "types": [before.things[one.key]["type_text"], one.after["type_text"]],
            },
        )
        for one in taken
        if one.after is not None and one.key.kind == "column" and one.values & _TYPE
    ]
