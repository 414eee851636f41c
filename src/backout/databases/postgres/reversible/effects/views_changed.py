"""CREATE, CREATE OR REPLACE, DROP and ALTER of views: those of one transaction are dropped together, and made again together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from backout.databases.postgres.reversible.difference import Difference, retyped_in_place
from backout.databases.postgres.reversible.effects.base import ADDS, NEITHER, TAKES, Bears, Operation
from backout.databases.postgres.reversible.proxy.keeper import NOT_COMMITTED, Veto
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.views import (
    drop_views,
    in_order,
    is_view,
    make_views,
    replace_view,
    told,
    upon,
)
from backout.databases.postgres.reversible.work import Work

_PARTS = ("column", "trigger", "rule", "index")
_REPLACED = {"query", "uses", "options"}
"""What CREATE OR REPLACE makes another of a view, where its columns stay."""
_REFRESHED = {"filenode", "populated"}
"""What REFRESH makes another of a materialized view and its indexes: rows that are its query's on either side."""


class ViewsChanged:
    """The views that are others after a transaction, and those upon them, as they were and as they became.

    They go before anything else is done, as nothing that they show can be changed below them, and come when all else is back.
    """

    kind: ClassVar[str] = "views"
    down_at: ClassVar[int] = 5
    redo_at: ClassVar[int] = 5

    def bears(self, operation: Operation) -> Bears:
        """Of a view that was changed nobody can tell."""
        if operation.get("stay"):
            return NEITHER
        if not operation["before"]:
            return ADDS
        return NEITHER if operation["after"] else TAKES

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every change of a view, whatever it is; what only filled a materialized one is nothing to take back.

        Raises:
            Veto: A view could not be dropped on the way back, or shows what is hidden.
        """
        _take_refreshed(difference)
        alone = _changed(difference)
        stay = _stay(difference, alone)
        changed = upon(difference.before, alone - stay) | upon(difference.after, alone - stay)
        if changed & stay:
            changed, stay = upon(difference.before, alone) | upon(difference.after, alone), set()
        if not alone:
            return
        before = in_order(difference.before, _there(difference.before, changed))
        after = in_order(difference.after, _there(difference.after, changed))
        for oid in after:
            _refuse(difference.after, oid)
        _take(difference, {*before, *after, *stay})
        names = [difference.before.name(Key("table", oid)) for oid in (*before, *stay)]
        names += [difference.after.name(Key("table", oid)) for oid in after]
        yield {
            "called": ", ".join(dict.fromkeys(names)),
            "before": [told(difference.before, oid) for oid in before],
            "after": [told(difference.after, oid) for oid in after],
            "stay": [
                [told(now, oid) for now in (difference.before, difference.after)] for oid in sorted(stay)
            ],
        }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Drop the later ones; make the earlier ones when all else is as it was."""
        return _turn(work, operation, since="after", to="before")

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Drop the earlier ones; make the later ones when all else is as it became."""
        return _turn(work, operation, since="before", to="after")


def _turn(work: Work, operation: Operation, *, since: str, to: str) -> Operation:
    unfilled: list[list[Any]] = []
    done = operation | {since: drop_views(work, operation[since]), "unfilled": unfilled}
    # After all that others have left for the end: names that were exchanged are in their places then.
    work.at_end.append(lambda: work.at_end.append(lambda: unfilled.extend(make_views(work, operation[to]))))
    at, other = (0, 1) if since == "before" else (1, 0)
    for one in operation.get("stay", ()):
        one[at] = replace_view(work, one[at], one[other])
    return done


def _take_refreshed(difference: Difference) -> None:
    for change in [*difference.changed("table", *_REFRESHED), *difference.changed("index", "filenode")]:
        oid = change.key.oid if change.key.kind == "table" else change.thing["table"]
        if difference.after.things[Key("table", oid)]["kind"] == "m":
            difference.take(change.key, *_REFRESHED)


def _changed(difference: Difference) -> set[int]:
    """Return the oids of the views of which anything is another, and of those upon them."""
    found = set()
    for key, change in difference.left.items():
        oid = key.oid if key.kind == "table" else change.thing.get("table") if key.kind in _PARTS else None
        if oid and (is_view(difference.before, oid) or is_view(difference.after, oid)):
            found.add(oid)
    return found


def _stay(difference: Difference, changed: set[int]) -> set[int]:
    """Return those that something needs, and that can be what they were without being dropped: of the same columns."""
    found = set()
    for oid in changed:
        change = difference.left.get(Key("table", oid))
        if change is None or change.before is None or change.after is None or change.after["kind"] != "v":
            continue
        parts = [
            key
            for key, one in difference.left.items()
            if one.thing.get("table") == oid or (key.kind, key.oid) == ("column", oid)
        ]
        needed = change.before["needed_by"] or change.after["needed_by"]
        if needed and not parts and change.values <= _REPLACED and not retyped_in_place(difference):
            found.add(oid)
    return found


def _there(now: Snapshot, views: set[int]) -> list[int]:
    return [oid for oid in views if is_view(now, oid)]


def _take(difference: Difference, views: set[int]) -> None:
    for key, change in list(difference.left.items()):
        of_view = change.thing.get("table") in views and key.kind in _PARTS
        if of_view or (key.kind == "table" and key.oid in views):
            difference.take(key)


def _refuse(now: Snapshot, oid: int) -> None:
    called = now.name(Key("table", oid))
    hidden = now.things[Key("table", oid)]["shows"]
    if hidden:
        raise Veto(
            f"backout cannot undo what makes the view {called}: it shows the hidden column {hidden}",
            detail=f"A column that was dropped is still in its table, and SELECT * finds it. {NOT_COMMITTED}",
            hint="Name the columns in the view's query.",
        )
    if needed_by := now.things[Key("table", oid)]["needed_by"]:
        raise Veto(
            f"backout cannot undo what makes or changes the view {called}: {', '.join(needed_by)} needs it",
            detail=f"The way back drops the view, and makes the earlier one again. {NOT_COMMITTED}",
        )
    thing = now.things[Key("table", oid)]
    if (
        thing["tablespace"]
        or thing["toast_options"]
        or any(one["tablespace"] or one["targets"] for one in now.of_table("index", oid).values())
    ):
        raise Veto(
            f"backout cannot undo what makes or changes the materialized view {called}: it, or an index of it, has a "
            "tablespace, options of its TOAST table or targets of statistics of its own",
            detail=f"The way back drops the view, and makes the earlier one again. {NOT_COMMITTED}",
        )
