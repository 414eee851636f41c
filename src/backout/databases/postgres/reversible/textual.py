"""Things that are nothing but their text: rules, constraint triggers, statistics objects. They hold no rows, and nothing is built on them.

One that shall not be there is dropped, and made again of what was kept of it, when all that it speaks of has its name.
"""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.catalog import own_settings
from backout.databases.postgres.reversible.link import LinkError
from backout.databases.postgres.reversible.locks import NOT_AVAILABLE
from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.parse import as_printed
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing
from backout.databases.postgres.reversible.work import Moved, Work

Kept = dict[str, Any]

_STATES = {"O": "ENABLE", "D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}
KINDS = ("rule", "trigger", "statistics object")


def is_textual(now: Snapshot, key: Key) -> bool:
    """Tell whether something is one of them: of triggers, those of constraints, which keep their name with a constraint's. Pure."""
    thing = now.things[key]
    table = now.things[Key("table", thing["table"])]
    if key.kind == "trigger":
        alone = table["kind"] == "r" and not table["parents"] and not now.has_children(thing["table"])
        return alone and not thing["parent"] and is_constraints(thing)
    return key.kind in KINDS and table["kind"] == "r"


def is_constraints(trigger: Thing) -> bool:
    """Tell whether a trigger is one that CREATE CONSTRAINT TRIGGER made. Pure."""
    return str(trigger["definition"]).startswith("CREATE CONSTRAINT ")


def kept(now: Snapshot, key: Key) -> Kept:
    """Return what is needed to find a thing, and to make it again: statements that name every schema. Pure."""
    thing = now.things[key]
    table = now.things[Key("table", thing["table"])]
    path = ident(str(now.things[Key("schema", table["schema"])]["name"]), str(table["name"]))
    name, schema = ident(str(thing["name"])), thing.get("schema")
    make = [as_printed(thing["definition"].strip().rstrip(";"), head="")]
    if key.kind == "statistics object":
        called = ident(str(now.things[Key("schema", int(schema or 0))]["name"]), str(thing["name"]))
        subject = f"STATISTICS {called}"
        if thing["target"] is not None:
            make.append(f"ALTER STATISTICS {called} SET STATISTICS {thing['target']}")
        if thing["owner"] != table["owner"]:
            make.append(f"ALTER STATISTICS {called} OWNER TO {ident(thing['owner_name'])}")
    else:
        word = key.kind.upper()
        subject = f"{word} {name} ON {path}"
        if thing["enabled"] != "O":
            make.append(f"ALTER TABLE {path} {_STATES[thing['enabled']]} {word} {name}")
    if thing["comment"] is not None:
        make.append(f"COMMENT ON {subject} IS {literal(thing['comment'])}")
    return {"name": thing["name"], "schema": schema, "make": make, "drop": f"DROP {subject}"}


def drop(work: Work, operation: dict[str, Any], wanted: Kept) -> None:
    """Drop a thing that is as it was kept.

    Raises:
        Moved: It is not there, or another one.
    """
    now = kept(work.now, _standing(work, operation, wanted))
    if now["make"] != wanted["make"]:
        raise Moved(operation["called"], "was changed by somebody else since")
    work.run(now["drop"])


def make(work: Work, operation: dict[str, Any], wanted: Kept) -> int:
    """Make a thing again, when all that it speaks of is there under its name; return its oid.

    Raises:
        Moved: Something that it speaks of is not there, or it would be another one.
    """
    called = operation["called"]
    try:
        with own_settings(work.link):
            for statement in wanted["make"]:
                work.run(statement)
    except LinkError as error:
        if error.sqlstate == NOT_AVAILABLE:
            raise
        raise Moved(called, f"cannot be made again: {error}") from error
    key = _standing(work, operation, wanted)
    if kept(work.now, key)["make"] != wanted["make"]:
        work.residues.append(f"{called} has its text in other words: PostgreSQL prints it so from now on")
    return key.oid


def _standing(work: Work, operation: dict[str, Any], wanted: Kept) -> Key:
    key = Key(operation["of"], operation["oid"])
    there = work.now.of_table(key.kind, operation["table"])
    if key in there:
        return key
    for one, thing in there.items():
        if (thing["name"], thing.get("schema")) == (wanted["name"], wanted["schema"]):
            return one
    raise Moved(operation["called"], "is not there")
