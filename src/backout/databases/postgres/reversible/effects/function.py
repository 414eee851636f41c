"""CREATE, CREATE OR REPLACE and DROP of functions and procedures: they are hidden, or get the text that they had."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.catalog import own_settings
from backout.databases.postgres.reversible.difference import Change, Difference, retyped_in_place
from backout.databases.postgres.reversible.effects.away import Dropped, Made, made
from backout.databases.postgres.reversible.effects.base import NEITHER, Bears, Operation
from backout.databases.postgres.reversible.functions import (
    body_of,
    found_as,
    give_back,
    held_by,
    hide_function,
    needed_by,
    path_of,
    show_function,
    text_of,
)
from backout.databases.postgres.reversible.readdressed import Reborn
from backout.databases.postgres.reversible.work import Moved, Work


class FunctionAdded(Made):
    """A function that was not there. What it was called by may still be there, hidden: so it stays, and is hidden."""

    kind: ClassVar[str] = "function.added"
    down_at: ClassVar[int] = 49
    redo_at: ClassVar[int] = 53
    hide = staticmethod(hide_function)
    show = staticmethod(show_function)

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every new one, but aggregates of ordered sets."""
        for change in difference.added("function"):
            if change.thing["definition"] is None and not change.thing["aggregate"]:
                continue
            difference.take(change.key)
            yield made(difference, change)


class FunctionHidden(Dropped):
    """A function that the migration dropped, as the engine does it: hidden."""

    kind: ClassVar[str] = "function.hidden"
    down_at: ClassVar[int] = 53
    redo_at: ClassVar[int] = 49
    hide = staticmethod(hide_function)
    show = staticmethod(show_function)


class FunctionReplaced:
    """A function whose text, or whose properties, are others: CREATE OR REPLACE keeps the function itself.

    The texts are PostgreSQL's own (`pg_get_functiondef`), and what comes of them is compared.
    """

    kind: ClassVar[str] = "function.replaced"
    down_at: ClassVar[int] = 80
    redo_at: ClassVar[int] = 80

    def bears(self, operation: Operation) -> Bears:
        """Nobody can tell what a body does to other code."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take those whose earlier text can be put back."""
        for change in difference.changed("function", "body"):
            if not _can_be_put_back(change) or (_is_parsed(change) and retyped_in_place(difference)):
                continue
            before, after = change.before or {}, change.after or {}
            anew = any(before[one] != after[one] for one in ("defaults", "names"))
            if anew and not can_be_made_anew(change):
                continue
            difference.take(change.key, "body", "defaults", "names", "parsed")
            yield {
                "oid": change.key.oid,
                "called": difference.after.name(change.key),
                "texts": [before["definition"], after["definition"]],
                "bodies": [before["body"], after["body"]],
                "parsed": [before["parsed"], after["parsed"]],
                "anew": anew,
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Put the earlier text back."""
        if operation.get("anew"):
            return _made_anew(work, operation)
        return _replace(work, operation, since=1, to=0)

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Put the later text back."""
        return _replace(work, operation, since=0, to=1)


def can_be_made_anew(change: Change) -> bool:
    """Tell whether a function can be dropped, and made with fewer defaults, or with other names of parameters.

    CREATE OR REPLACE takes no default away, and gives no parameter another name.
    Source: PostgreSQL 15 documentation, "CREATE FUNCTION", Notes.
    """
    after = change.after or {}
    givers = {item.rpartition("/")[2] for item in str(after["acl"] or "").strip("{}").split(",")}
    return not _is_parsed(change) and len(givers) == 1


def _can_be_put_back(change: Change) -> bool:
    """Tell whether both texts are known."""
    return None not in ((change.before or {})["definition"], (change.after or {})["definition"])


def _is_parsed(change: Change) -> bool:
    """Tell whether one of the bodies is kept as what it means (RETURN, BEGIN ATOMIC), and so depends on all that it names."""
    return bool((change.before or {})["parsed"] or (change.after or {})["parsed"])


def _replace(work: Work, operation: Operation, *, since: int, to: int) -> Operation:
    oid, called = operation["oid"], operation["called"]
    if body_of(work, oid, called) != operation["bodies"][since]:
        raise Moved(called, "is not as the migration left it: somebody has replaced it since")
    if operation.get("parsed", [False, False])[to]:
        # It is understood when it is made: not before all that it speaks of has its name.
        work.at_end.append(lambda: work.at_end.append(lambda: _put_parsed(work, operation, to)))
    else:
        _put(work, operation, to)
    return operation


def _made_anew(work: Work, operation: Operation) -> Operation:
    """Drop the later one and make the earlier one, which has its owner, privileges and comment.

    Raises:
        Moved: Something needs it by now.
    """
    oid, called = operation["oid"], operation["called"]
    if body_of(work, oid, called) != operation["bodies"][1]:
        raise Moved(called, "is not as the migration left it: somebody has replaced it since")
    if found := needed_by(work.link, oid):
        raise Moved(
            called, f"has to be dropped to lose a default or a parameter's name, and is needed by {found}"
        )
    kept, path = held_by(work, oid), path_of(work, oid, called)
    work.run(f"DROP ROUTINE {path}")
    work.run("SET LOCAL check_function_bodies = off")
    work.run(operation["texts"][0])
    new = found_as(work, kept)
    give_back(work, new, kept, called)
    if body_of(work, new, called) != operation["bodies"][0]:
        raise Moved(called, "does not come of its text: it has another name or schema by now")
    work.reborn.append(Reborn(oid, new))
    return operation | {"oid": new}


def _put_parsed(work: Work, operation: Operation, to: int) -> None:
    oid, called = operation["oid"], operation["called"]
    with own_settings(work.link):
        work.run(operation["texts"][to])
        if text_of(work, oid, called) != operation["texts"][to]:
            raise Moved(
                called, "does not come of its text: something that it speaks of has another name by now"
            )
    # What it was parsed to tells the columns of its tables, which may be more by now.
    operation["bodies"][to] = body_of(work, oid, called)


def _put(work: Work, operation: Operation, to: int) -> None:
    oid, called = operation["oid"], operation["called"]
    # Its body may speak of what is only put back after it.
    work.run("SET LOCAL check_function_bodies = off")
    work.run(operation["texts"][to])
    if body_of(work, oid, called) != operation["bodies"][to]:
        raise Moved(called, "does not come of its text: it has another name or schema by now")
