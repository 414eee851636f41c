"""Policies as data: one that shall not be there is dropped, as under any name it would be in force, and made again of what was kept.

Source: PostgreSQL 15 documentation, "CREATE POLICY"; 53.39 "pg_policy".
"""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.catalog import own_settings
from backout.databases.postgres.reversible.link import LinkError
from backout.databases.postgres.reversible.locks import NOT_AVAILABLE
from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.parse import as_printed
from backout.databases.postgres.reversible.roles import found_again
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing
from backout.databases.postgres.reversible.work import Moved, Work

_COMMANDS = {"r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE", "*": "ALL"}
_SAME = ("name", "command", "permissive", "roles", "columns", "using_text", "check_text")

Kept = dict[str, Any]


def kept(thing: Thing) -> Kept:
    """Return what is needed to make a policy again: its roles by oid and name, its expressions as text that names every schema."""
    return {name: thing[name] for name in (*_SAME, "role_names", "comment")}


def standing(now: Snapshot, oid: int, table: int, policy: Kept) -> Key | str:
    """Return the identity of a policy as it is now, or why it is not the one that was kept. Pure.

    Args:
        now: The catalog.
        oid: Its identity, as the journal has it; one that was made again has another.
        table: Whose it is.
        policy: As it was kept.
    """
    there = now.of_table("policy", table)
    key = Key("policy", oid)
    if key not in there:
        key = next((one for one, thing in there.items() if thing["name"] == policy["name"]), key)
    if key not in there:
        return "is not there"
    same = all(there[key][name] == policy[name] for name in _SAME)
    return key if same else "was changed by somebody else since"


def drop_policy(work: Work, operation: dict[str, Any], policy: Kept) -> None:
    """Drop a policy that is as it was kept.

    Raises:
        Moved: It is not there, or another one.
    """
    called, table = operation["called"], operation["table"]
    found = standing(work.now, operation["oid"], table, policy)
    if isinstance(found, str):
        raise Moved(called, found)
    path = work.table_path(table, called=called)
    work.run(f"DROP POLICY {ident(policy['name'])} ON {path}")


def make_policy(work: Work, operation: dict[str, Any], policy: Kept) -> tuple[int, Kept]:
    """Make a policy again, when all that it speaks of is there under its name; return its oid, and it as PostgreSQL has it.

    Raises:
        Moved: Something that it speaks of is not there, or another thing has its name.
    """
    called, table = operation["called"], operation["table"]
    path = work.table_path(table, called=called)
    roles = dict(zip(policy["roles"], policy["role_names"], strict=True))
    words = [
        f"CREATE POLICY {ident(policy['name'])} ON {path}",
        f"AS {'PERMISSIVE' if policy['permissive'] else 'RESTRICTIVE'} FOR {_COMMANDS[policy['command']]}",
        f"TO {', '.join(role.name for role in found_again(work.link, roles, called).values())}",
    ]
    for clause, text in (("USING", policy["using_text"]), ("WITH CHECK", policy["check_text"])):
        if text is not None:
            words.append(f"{clause} ({as_printed(text)})")
    try:
        with own_settings(work.link):
            work.run(" ".join(words))
    except LinkError as error:
        if error.sqlstate == NOT_AVAILABLE:
            raise
        raise Moved(called, f"cannot be made again: {error}") from error
    if policy["comment"] is not None:
        work.run(f"COMMENT ON POLICY {ident(policy['name'])} ON {path} IS {literal(policy['comment'])}")
    made = work.now.of_table("policy", table).items()
    key, thing = next(one for one in made if one[1]["name"] == policy["name"])
    if thing["columns"] != policy["columns"]:
        raise Moved(called, "would speak of other columns than before: others have their names")
    return key.oid, kept(thing)
