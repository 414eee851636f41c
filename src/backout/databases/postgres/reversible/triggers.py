"""Triggers on their way: hidden is one that has a hidden name and does not fire.

Source: PostgreSQL 15 documentation, "ALTER TRIGGER"; "ALTER TABLE", ENABLE TRIGGER; 53.54 "pg_trigger", `tgenabled`.
"""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.names import hidden, ident, is_hidden
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing
from backout.databases.postgres.reversible.work import Moved, Work

_STATES = {"O": "ENABLE", "D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


def can_be_hidden(now: Snapshot, trigger: Thing) -> bool:
    """Tell whether a trigger is one of a plain table alone, and no constraint's."""
    table = now.things[Key("table", trigger["table"])]
    alone = table["kind"] == "r" and not table["parents"] and not now.has_children(trigger["table"])
    return alone and not trigger["parent"] and not trigger["definition"].startswith("CREATE CONSTRAINT ")


def hide_trigger(work: Work, told: dict[str, Any], change: int) -> str:
    """Rename a trigger and switch it off; return when it fired, as `tgenabled` has it.

    Raises:
        Moved: It is not there, or has another name.
    """
    key, called = Key("trigger", told["oid"]), told["called"]
    one = work.thing("trigger", key.oid, called=called)
    if one["name"] != told["name"]:
        raise Moved(called, f"is called {one['name']} by now")
    path = work.table_path(one["table"], called=called)
    # First what takes the stronger lock: whoever asks for it later may meet another who waits for it, too.
    work.run(f"ALTER TRIGGER {ident(one['name'])} ON {path} RENAME TO {ident(hidden(change))}")
    switch(work, key, "D", called)
    return str(one["enabled"])


def show_trigger(work: Work, told: dict[str, Any]) -> None:
    """Undo `hide_trigger`.

    Raises:
        Moved: It is not there, or another one has its name.
    """
    key, called = Key("trigger", told["oid"]), told["called"]
    one = work.thing("trigger", key.oid, called=called)
    if any(other["name"] == told["name"] for other in work.now.of_table("trigger", one["table"]).values()):
        raise Moved(called, "cannot come back: another trigger has its name")
    path = work.table_path(one["table"], called=called)
    work.run(f"ALTER TRIGGER {ident(one['name'])} ON {path} RENAME TO {ident(told['name'])}")
    switch(work, key, told["enabled"], called)


def switch(work: Work, key: Key, state: str, called: str) -> None:
    """Let a trigger fire as a state of `tgenabled` says."""
    one = work.thing("trigger", key.oid, called=called)
    if one["enabled"] != state:
        path = work.table_path(one["table"], called=called)
        work.run(f"ALTER TABLE {path} {_STATES[state]} TRIGGER {ident(one['name'])}")


def is_switched_off(trigger: Thing) -> bool:
    """Tell whether a trigger is a hidden one of the application's, and none of the engine's own, which fire."""
    return is_hidden(str(trigger["name"])) and trigger["enabled"] == "D"
