"""Constraints as data: told by oid and attnum, so that they can be made again after anything was renamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.parse import with_columns
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing
from backout.databases.postgres.reversible.work import Moved, Work

_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_MATCH = {"f": "MATCH FULL", "p": "MATCH PARTIAL", "s": ""}
_WORDS = {"p": "PRIMARY KEY", "u": "UNIQUE"}
AT_ONCE = ""
"""In the place of those words: a constraint that PostgreSQL makes with its index, while nobody writes."""
_NO_KEY = "42830"
"""SQLSTATE: there is no key that a foreign key could lead to. Source: PostgreSQL 15 documentation, appendix A."""
_KEPT = ("name", "table", "kind", "columns", "to_table", "to_columns", "on_update", "on_delete", "match",
         "deferrable", "deferred", "valid", "no_inherit", "definition", "comment")  # fmt: skip

Kept = dict[str, Any]


def kept(thing: Thing, snapshot: Snapshot) -> Kept:
    """Return what is needed to make a constraint again.

    A CHECK's expression is text; the names in it are told with it, to be found again by attnum.
    """
    names = {str(attnum): one["name"] for attnum, one in snapshot.columns(thing["table"]).items()}
    made = {key: thing[key] for key in _KEPT} | {"names": names}
    if thing["kind"] in "pu":
        index = snapshot.things[Key("index", thing["index"])]
        made["key"] = {name: index[name] for name in ("columns", "nulls_not_distinct", "options")}
    return made


def index_kept(index: Thing, snapshot: Snapshot, key: Thing | None = None) -> dict[str, Any]:
    """Return what is needed to build a unique index again, and to make a key of it.

    Args:
        index: It.
        snapshot: The catalog that has it.
        key: The constraint that it is of; None: of none.
    """
    return {
        "table": index["table"],
        "name": index["name"],
        "definition": index["definition"],
        "names": {str(n): str(one["name"]) for n, one in snapshot.columns(index["table"]).items()},
        "key": [] if key is None else key["columns"],
        "word": None if key is None else _WORDS[key["kind"]],
        "deferred": "" if key is None else _deferred(key),
        "comment": index["comment"] if key is None else key["comment"],
    }


def can_be_built_again(now: Snapshot, index: Thing) -> bool:
    """Tell whether an index can be built anew beside what works with its table, as it was, and is that table's alone.

    Args:
        now: The catalog that has the table.
        index: It, as it was.
    """
    table = now.things.get(Key("table", index["table"]))
    return bool(
        table is not None
        and table["kind"] == "r"
        and not table["bound"]
        and " USING btree " in index["definition"]
        and index["valid"]
        and not any(index[word] for word in ("exclusion", "replica_identity", "clustered", "tablespace"))
    )


def add(work: Work, constraint: Kept) -> int:
    """Make a foreign key or CHECK again, NOT VALID: existing rows are looked at after the COMMIT.

    A foreign key to a key that is built after the COMMIT is made after that, by `due.py`; it is told by `owed` until then.

    Returns:
        Its oid; 0: it is owed.

    Raises:
        Moved: A column or table that it speaks of is not there.
    """
    constraint.pop("owed", None)
    statements = additions(work.now, constraint)

    def made() -> None:
        for statement in statements:
            work.run(statement)

    if constraint["to_table"] not in work.keys_due:
        made()
    elif not work.can(made, but=_NO_KEY):
        constraint["owed"] = True
    return oid_of(work, constraint)


def additions(now: Snapshot, constraint: Kept) -> list[str]:
    """Return the statements that make a foreign key or CHECK again; else as `add`."""
    called, name = f"constraint {constraint['name']}", ident(constraint["name"])
    table, definition = _path(now, constraint["table"], called), _definition(now, constraint)
    later = "" if _at_once(now, constraint) else " NOT VALID"
    found = [f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}{later}"]
    if constraint["comment"] is not None:
        found.append(f"COMMENT ON CONSTRAINT {name} ON {table} IS {literal(constraint['comment'])}")
    return found


def kept_in(value: Any) -> Iterator[Kept]:
    """Yield the constraints that an operation tells of, wherever it does."""
    if isinstance(value, dict):
        if {"definition", "valid", "table", "kind"} <= value.keys():
            yield value
        for inner in value.values():
            yield from kept_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from kept_in(inner)


def settled(now: Snapshot, operation: dict[str, Any]) -> bool:
    """Note in an operation that a foreign key which was owed is there by now, and its oid; tell whether one is."""
    found = False
    for one in kept_in(operation):
        there = [
            key
            for key, thing in now.of_table("constraint", one["table"]).items()
            if all(thing[word] == one[word] for word in ("name", "columns", "to_columns"))
        ]
        if there and one.pop("owed", False):
            found = True
            if one is operation.get("made"):
                operation["oid"] = there[0].oid
    return found


def is_referred_to(now: Snapshot, table: int, columns: list[int]) -> bool:
    """Tell whether a foreign key leads to those columns."""
    return any(sorted(one["to_columns"]) == sorted(columns) for one in now.keys_to(table).values())


def still_owed(work: Work, made: list[Kept]) -> list[Kept]:
    """Return those of foreign keys that were made again of which there is nothing yet."""
    return [one for one in made if one.get("owed") and not oid_of(work, one)]


def _at_once(now: Snapshot, constraint: Kept) -> bool:
    """Tell whether a foreign key has to be proven when it is made: before PostgreSQL 18 one from or to a partitioned table.

    One to such a table stays unproven in parts, whatever is proven later.
    """
    tables = [constraint["table"], constraint["to_table"]] if constraint["kind"] == "f" else []
    return any(now.things.get(Key("table", one), {}).get("kind") == "p" for one in tables)


def rebuilt_key(work: Work, constraint: Kept) -> dict[str, Any]:
    """Return what `due.py` needs to build a UNIQUE or primary key again while the table is written.

    Raises:
        Moved: A column is not there.
    """
    called = f"constraint {constraint['name']}"
    table = work.table_path(constraint["table"], called=called)
    keys, key = constraint["columns"], constraint["key"]
    included = key["columns"][len(keys) :]
    words = [
        f"CREATE UNIQUE INDEX CONCURRENTLY {ident(constraint['name'])} ON {table}",
        f"({columns(work, constraint['table'], keys, called)})",
        f"INCLUDE ({columns(work, constraint['table'], included, called)})" if included else "",
        "NULLS NOT DISTINCT" if key["nulls_not_distinct"] else "",
        f"WITH ({', '.join(key['options'])})" if key["options"] else "",
    ]
    return {
        "table": constraint["table"],
        "name": constraint["name"],
        "definition": " ".join(word for word in words if word),
        "word": _WORDS[constraint["kind"]],
        "names": names_now(work, constraint["table"]),
        "deferred": _deferred(constraint),
        "comment": constraint["comment"],
    }


def excluded_again(work: Work, constraint: Kept) -> dict[str, Any]:
    """Return what `due.py` needs to make an exclusion constraint again: PostgreSQL builds it while nobody writes."""
    return {
        "table": constraint["table"],
        "name": constraint["name"],
        "definition": check_text(work.now, constraint),
        "word": AT_ONCE,
        "names": names_now(work, constraint["table"]),
        "deferred": "",
        "comment": constraint["comment"],
    }


def exclude(work: Work, constraint: Kept) -> None:
    """Make an exclusion constraint again, with its index.

    Raises:
        Moved: A column or table that it speaks of is not there.
        LinkError: Rows do not meet it.
    """
    called = f"constraint {constraint['name']}"
    table, name = work.table_path(constraint["table"], called=called), ident(constraint["name"])
    for attnum in constraint["columns"]:
        if attnum:  # else an expression
            work.thing("column", constraint["table"], attnum, called=called)
    # Its text names operators without their schemas where these are PostgreSQL's own.
    work.rewrite(f"ALTER TABLE {table} ADD CONSTRAINT {name} {check_text(work.now, constraint)}")
    if constraint["comment"] is not None:
        work.run(f"COMMENT ON CONSTRAINT {name} ON {table} IS {literal(constraint['comment'])}")


def whole_key(work: Work, constraint: Kept) -> dict[str, Any]:
    """Return the same for a key of a partitioned table, of which PostgreSQL builds none while it is written."""
    made = rebuilt_key(work, constraint)
    keys = columns(work, constraint["table"], constraint["columns"], f"constraint {constraint['name']}")
    nulls = "NULLS NOT DISTINCT " if constraint["key"]["nulls_not_distinct"] else ""
    definition = f"{made['word']} {nulls}({keys}) {made['deferred']}".rstrip()
    return made | {"definition": definition, "word": AT_ONCE}


def names_now(work: Work, table: int) -> dict[str, str]:
    """Return the names of a table's columns by attnum, for what is told by name and used later."""
    return {str(attnum): str(one["name"]) for attnum, one in work.now.columns(table).items()}


def drop_unfinished(work: Work, operation: dict[str, Any]) -> bool:
    """Take away what there is of a key that was never built to its end; tell whether it is such a one."""
    made = operation.get("rebuild")
    if made is None:
        return False
    for key, one in work.now.of_table("index", made["table"]).items():
        if one["name"] == made["name"]:
            work.run(f"DROP INDEX {work.path('index', key.oid, called=made['name'])}")
    return True


def oid_of(work: Work, constraint: Kept) -> int:
    """Return the oid of the constraint of that name on that table; 0: there is none."""
    found = [
        k.oid
        for k, c in work.now.of_table("constraint", constraint["table"]).items()
        if c["name"] == constraint["name"]
    ]
    return found[0] if found else 0


def _definition(now: Snapshot, constraint: Kept) -> str:
    if constraint["kind"] == "c":
        return check_text(now, constraint)
    called = f"constraint {constraint['name']}"
    target = _path(now, constraint["to_table"], called)
    here = _columns(now, constraint["table"], constraint["columns"], called)
    there = _columns(now, constraint["to_table"], constraint["to_columns"], called)
    words = [
        f"FOREIGN KEY ({here}) REFERENCES {target} ({there})",
        _MATCH[constraint["match"]],
        f"ON UPDATE {_ACTIONS[constraint['on_update']]} ON DELETE {_ACTIONS[constraint['on_delete']]}",
        _deferred(constraint),
    ]
    return " ".join(word for word in words if word)


def _deferred(constraint: Kept) -> str:
    if not constraint["deferrable"]:
        return ""
    return "DEFERRABLE INITIALLY DEFERRED" if constraint["deferred"] else "DEFERRABLE"


def columns(work: Work, table: int, attnums: list[int], called: str) -> str:
    """Return the quoted names of columns, as a list in brackets has them.

    Raises:
        Moved: One is not there.
    """
    return _columns(work.now, table, attnums, called)


def _columns(now: Snapshot, table: int, attnums: list[int], called: str) -> str:
    return ", ".join(ident(_thing(now, Key("column", table, attnum), called)["name"]) for attnum in attnums)


def _path(now: Snapshot, table: int, called: str) -> str:
    thing = _thing(now, Key("table", table), called)
    return ident(_thing(now, Key("schema", thing["schema"]), called)["name"], thing["name"])


def _thing(now: Snapshot, key: Key, called: str) -> Thing:
    if (found := now.things.get(key)) is None:
        raise Moved(called, "is not there")
    return found


def check_text(snapshot: Snapshot, constraint: Kept) -> str:
    """Return the text of a CHECK, or of an exclusion constraint, with the names that its columns have now."""
    now = snapshot.columns(constraint["table"])
    names = {
        name: str(now[int(attnum)]["name"])
        for attnum, name in constraint["names"].items()
        if int(attnum) in now
    }
    return with_columns(str(constraint["definition"]).removesuffix(" NOT VALID"), names)
