"""CREATE TRIGGER, DROP TRIGGER, and ENABLE or DISABLE TRIGGER: a trigger that shall not be there is renamed and switched off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from backout.databases.postgres.reversible.catalog import own_settings
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, Bears, Operation
from backout.databases.postgres.reversible.snapshot import Key
from backout.databases.postgres.reversible.triggers import can_be_hidden, hide_trigger, show_trigger, switch
from backout.databases.postgres.reversible.work import Moved, Work


class TriggerAdded:
    """A trigger that was not there."""

    kind: ClassVar[str] = "trigger.added"
    down_at: ClassVar[int] = 20
    redo_at: ClassVar[int] = 86

    def bears(self, operation: Operation) -> Bears:
        """Nobody can tell what it does to what code writes."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take every new one of a plain table."""
        for change in difference.added("trigger"):
            one = change.thing
            if can_be_hidden(difference.after, one):
                difference.take(change.key)
                yield {
                    "oid": change.key.oid,
                    "called": difference.after.name(change.key),
                    **{name: one[name] for name in ("name", "table", "enabled")},
                }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it."""
        return operation | {"enabled": hide_trigger(work, operation, change)}

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it again."""
        show_trigger(work, operation)
        return operation


class TriggerHidden:
    """A trigger that the migration dropped, as the engine does it: hidden."""

    kind: ClassVar[str] = "trigger.hidden"
    down_at: ClassVar[int] = 86
    redo_at: ClassVar[int] = 20

    def bears(self, operation: Operation) -> Bears:
        """Nobody can tell what it does to what code writes."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Find none: it was softened, or is lost, which nobody may explain."""
        yield from ()

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Show it."""
        show_trigger(work, operation)
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Hide it again."""
        return operation | {"enabled": hide_trigger(work, operation, change)}


class TriggerSwitched:
    """A trigger that fires at other times: ENABLE, DISABLE, ENABLE REPLICA, ENABLE ALWAYS."""

    kind: ClassVar[str] = "trigger.switched"
    down_at: ClassVar[int] = 87
    redo_at: ClassVar[int] = 87

    def bears(self, operation: Operation) -> Bears:
        """Nobody can tell what it does to what code writes."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take those of plain tables."""
        for change in difference.changed("trigger", "enabled"):
            one = change.thing
            if can_be_hidden(difference.after, one):
                difference.take(change.key, "enabled")
                yield {
                    "oid": change.key.oid,
                    "called": difference.after.name(change.key),
                    "table": one["table"],
                    "states": [(change.before or {})["enabled"], one["enabled"]],
                }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Let it fire as before."""
        return _switch(work, operation, since=1, to=0)

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Let it fire as the migration had it."""
        return _switch(work, operation, since=0, to=1)


class TriggerReplaced:
    """A trigger that CREATE OR REPLACE made another of: it keeps its identity, and gets its earlier text again."""

    kind: ClassVar[str] = "trigger.replaced"
    down_at: ClassVar[int] = 8
    redo_at: ClassVar[int] = 8

    def bears(self, operation: Operation) -> Bears:
        """Nobody can tell what it does to what code writes."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take those of plain tables, and when they fire."""
        for change in difference.changed("trigger", "body", "columns"):
            if can_be_hidden(difference.after, change.thing):
                difference.take(change.key, "body", "columns", "enabled")
                before, after = change.before or {}, change.after or {}
                yield {
                    "oid": change.key.oid,
                    "called": difference.after.name(change.key),
                    "table": after["table"],
                    "texts": [before["definition"], after["definition"]],
                    "states": [before["enabled"], after["enabled"]],
                }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Put the earlier text back."""
        return _replace(work, operation, since=1, to=0)

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Put the later text back."""
        return _replace(work, operation, since=0, to=1)


def _replace(work: Work, operation: Operation, *, since: int, to: int) -> Operation:
    key, called = Key("trigger", operation["oid"]), operation["called"]
    one = work.thing("trigger", key.oid, called=called)
    if (one["definition"], one["enabled"]) != (operation["texts"][since], operation["states"][since]):
        raise Moved(called, "was changed by somebody else since")

    def replace() -> None:
        with own_settings(work.link):
            work.run(operation["texts"][to].replace("CREATE ", "CREATE OR REPLACE ", 1))
        if work.thing("trigger", key.oid, called=called)["definition"] != operation["texts"][to]:
            raise Moved(
                called, "does not come of its text: something that it speaks of has another name by now"
            )
        switch(work, key, operation["states"][to], called)

    # When all that it speaks of has its name.
    work.at_end.append(lambda: work.at_end.append(replace))
    return operation


def _switch(work: Work, operation: Operation, *, since: int, to: int) -> Operation:
    called, states = operation["called"], operation["states"]
    if work.thing("trigger", operation["oid"], called=called)["enabled"] != states[since]:
        raise Moved(called, "was switched by somebody else since")
    switch(work, Key("trigger", operation["oid"]), states[to], called)
    return operation
