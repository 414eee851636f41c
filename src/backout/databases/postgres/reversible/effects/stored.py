"""How a table, a column or an index is stored, where the catalog alone says so: nothing is written anew, there or back.

Storage parameters, SET STATISTICS, SET STORAGE, SET COMPRESSION, CLUSTER ON, REPLICA IDENTITY.
Source: PostgreSQL 15 documentation, "ALTER TABLE".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from backout.databases.postgres.reversible.built import BY_INDEX
from backout.databases.postgres.reversible.difference import Change, Difference
from backout.databases.postgres.reversible.effects.base import BOTH, NEITHER, Bears, Operation
from backout.databases.postgres.reversible.names import ident, is_hidden, literal
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.storage import OF_COLUMN
from backout.databases.postgres.reversible.work import Moved, Work

_IDENTITY = {"d": "DEFAULT", "n": "NOTHING", "f": "FULL"}
_OPTIONS = ("options", "toast_options")


class Stored:
    """A thing of which one value is another; parameters one by one, as somebody may have set others since."""

    kind: ClassVar[str] = "stored"
    down_at: ClassVar[int] = 73
    redo_at: ClassVar[int] = 84

    def bears(self, operation: Operation) -> Bears:
        """No code reads it; but without an identity a published table takes no UPDATE."""
        return NEITHER if operation["what"] == "replica_identity" else BOTH

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take each; not where an index is meant that is new, as it is built after the way forward."""
        for kind in ("table", "index", "column"):
            for change in difference.changed(kind, *_OPTIONS, *OF_COLUMN):
                if not is_hidden(str((change.before or {})["name"])) and _is_plain(difference, change):
                    yield from _values(difference, change)
        yield from _by_index(difference, "clustered")
        yield from _by_index(difference, "replica_identity")

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Set it as it was."""
        return _turn(work, operation, since="to", to="from")

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Set it as the migration did."""
        return _turn(work, operation, since="from", to="to")


def _is_plain(difference: Difference, change: Change) -> bool:
    table = change.key.oid if change.key.kind != "index" else change.thing["table"]
    return bool(difference.after.things[Key("table", table)]["kind"] in "rm")


def _values(difference: Difference, change: Change) -> Iterator[Operation]:
    before, after = change.before or {}, change.after or {}
    told = {
        "on": change.key.kind,
        "oid": change.key.oid,
        "sub": change.key.sub,
        "table": after["table"] if change.key.kind == "index" else change.key.oid,
        "called": difference.after.name(change.key),
    }
    for what in sorted(change.values & {*_OPTIONS, *OF_COLUMN}):
        difference.take(change.key, what)
        if what in _OPTIONS:
            was, is_ = _parameters(before[what]), _parameters(after[what])
            names = sorted(name for name in was.keys() | is_.keys() if was.get(name) != is_.get(name))
            yield told | {"what": what, **{side: {name: one.get(name) for name in names} for side, one in (("from", was), ("to", is_))}}  # fmt: skip
        else:
            yield told | {"what": what, "from": before[what], "to": after[what]}


def _parameters(options: list[str] | None) -> dict[str, str]:
    return dict(one.split("=", 1) for one in options or ())


def _by_index(difference: Difference, what: str) -> Iterator[Operation]:
    """Take, table by table, what is said by an index: which one it is, or how it is done without one."""
    changed = [*difference.changed("index", what), *difference.changed("table", what)]
    for table in sorted({change.thing.get("table", change.key.oid) for change in changed}):
        key = Key("table", table)
        if key not in difference.before.things or key not in difference.after.things:
            continue
        was, is_ = (said(one, table, what) for one in (difference.before, difference.after))
        difference.take(key, what)
        for change in changed:
            if change.thing.get("table") == table:
                difference.take(change.key, what)
        called = difference.after.name(key)
        yield {"on": "table", "oid": table, "sub": 0, "table": table, "called": called, "what": what, "from": was, "to": is_}  # fmt: skip


def said(snapshot: Snapshot, table: int, what: str) -> dict[str, Any]:
    """Return how a table is clustered, or tells its rows to subscribers, and by which index."""
    found = [(key.oid, one["name"]) for key, one in snapshot.of_table("index", table).items() if one[what]]
    oid, name = found[0] if found else (None, None)
    return {"how": snapshot.things[Key("table", table)].get(what), "index": oid, "name": name}


def _turn(work: Work, operation: Operation, *, since: str, to: str) -> Operation:
    called, what = operation["called"], operation["what"]
    path = work.table_path(operation["table"], called=called)
    if what in ("clustered", "replica_identity"):
        set_by_index(work, operation, path, since=since, to=to)
        return operation
    if operation["on"] == "index":
        oid = work.again("index", operation["oid"], operation["table"], called.rsplit(".", 1)[-1])
        operation["oid"] = oid
    thing = work.thing(operation["on"], operation["oid"], operation["sub"], called=called)
    head = f"ALTER TABLE {path}"
    if operation["on"] == "index":
        head = f"ALTER INDEX {work.path('index', operation['oid'], called=called)}"
    elif operation["on"] == "column":
        head += f" ALTER COLUMN {ident(thing['name'])}"
    if what in _OPTIONS:
        for words in _parameter_words(thing, operation, since=since, to=to):
            work.run(f"{head} {words}")
    elif thing[what] != operation[to]:
        _refuse_other(called, what, thing[what], operation[since])
        work.run(f"{head} {OF_COLUMN[what](operation[to])}")
    return operation


def _parameter_words(thing: dict[str, Any], operation: Operation, *, since: str, to: str) -> Iterator[str]:
    now, what = _parameters(thing[operation["what"]]), operation["what"]
    prefix = "toast." if what == "toast_options" else ""
    for name, wanted in operation[to].items():
        if now.get(name) == wanted:
            continue
        _refuse_other(operation["called"], f"{prefix}{name}", now.get(name), operation[since][name])
        if wanted is None:
            yield f"RESET ({prefix}{ident(name)})"
        else:
            yield f"SET ({prefix}{ident(name)} = {literal(wanted)})"


def set_by_index(work: Work, operation: Operation, path: str, *, since: str, to: str) -> None:
    """Set what is said by an index.

    Raises:
        Moved: It is another since.
    """
    called, what, table, wanted = operation["called"], operation["what"], operation["table"], operation[to]
    found = said(work.now, table, what)
    now, index = (found["how"], found["index"]), _index(work, table, wanted)
    if now == (wanted["how"], index):
        return
    _refuse_other(called, what, now, (operation[since]["how"], _index(work, table, operation[since])))
    if index is not None:
        name = ident(work.thing("index", index, called=f"index {wanted['name']}")["name"])
        words = f"{BY_INDEX[what]} {name}"
    else:
        words = (
            "SET WITHOUT CLUSTER" if what == "clustered" else f"REPLICA IDENTITY {_IDENTITY[wanted['how']]}"
        )
    work.run(f"ALTER TABLE {path} {words}")


def _index(work: Work, table: int, said: dict[str, Any]) -> int | None:
    return work.again("index", said["index"], table, said["name"]) if said["index"] is not None else None


def _refuse_other(called: str, what: str, now: object, since: object) -> None:
    if now != since:
        raise Moved(called, f"has other storage settings since: {what.replace('_', ' ')}")
