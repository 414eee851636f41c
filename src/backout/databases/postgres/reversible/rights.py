"""Owners and privileges on their way: looked up by oid, as the way back does not read all that there is.

Source: PostgreSQL 15 documentation, "GRANT", "REVOKE", "ALTER DEFAULT PRIVILEGES".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from backout.databases.postgres.reversible.acl import Entangled, Items, Step, in_order, items_of
from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import literal
from backout.databases.postgres.reversible.roles import Role, found_again
from backout.databases.postgres.reversible.work import Moved, Work

Operation = dict[str, Any]

_CLASS = """SELECT '{word} ' || pg_catalog.format('%I.%I', n.nspname, x.relname) AS path, {column} AS "column", x.relowner AS owner,
  {acl} AS acl, '{letter}' AS letter FROM pg_catalog.pg_class x JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace {joined}
  WHERE x.oid = {{oid}}"""
_PLACES = {
    "schema": """SELECT 'SCHEMA ' || pg_catalog.quote_ident(x.nspname) AS path, NULL AS "column", x.nspowner AS owner, x.nspacl AS acl,
      'n' AS letter FROM pg_catalog.pg_namespace x WHERE x.oid = {oid}""",
    "table": _CLASS.format(word="TABLE", column="NULL", acl="x.relacl", letter="r", joined=""),
    "sequence": _CLASS.format(word="SEQUENCE", column="NULL", acl="x.relacl", letter="s", joined=""),
    "column": _CLASS.format(
        word="TABLE",
        column="pg_catalog.quote_ident(a.attname)",
        acl="a.attacl",
        letter="c",
        joined="JOIN pg_catalog.pg_attribute a ON a.attrelid = x.oid AND a.attnum = {sub} AND NOT a.attisdropped",
    ),
    "type": """SELECT 'TYPE ' || pg_catalog.format('%I.%I', n.nspname, x.typname) AS path, NULL AS "column", x.typowner AS owner,
      x.typacl AS acl, 'T' AS letter FROM pg_catalog.pg_type x JOIN pg_catalog.pg_namespace n ON n.oid = x.typnamespace WHERE x.oid = {oid}""",
    "function": """SELECT 'ROUTINE ' || pg_catalog.format('%I.%I(%s)', n.nspname, x.proname, pg_catalog.pg_get_function_identity_arguments(x.oid))
      AS path, NULL AS "column", x.proowner AS owner, x.proacl AS acl, 'f' AS letter
      FROM pg_catalog.pg_proc x JOIN pg_catalog.pg_namespace n ON n.oid = x.pronamespace WHERE x.oid = {oid}""",
    # Where nothing is written down, what PostgreSQL gives by itself is meant; a schema adds to that, and has nothing of its own.
    "default": """SELECT NULL AS path, NULL AS "column", {role}::pg_catalog.oid AS owner, coalesce(d.defaclacl, CASE WHEN {schema} <> 0
      THEN '{{}}'::pg_catalog.aclitem[] END) AS acl, CASE '{objects}' WHEN 'S' THEN 's' ELSE '{objects}' END AS letter
      FROM (SELECT 1) one LEFT JOIN pg_catalog.pg_default_acl d
      ON d.defaclrole = {role} AND d.defaclnamespace = {schema} AND d.defaclobjtype = '{objects}'""",
}
_LETTERS = {"schema": "n", "table": "r", "sequence": "s", "column": "c", "type": "T", "function": "f"}
_OBJECTS = {"r": "TABLES", "S": "SEQUENCES", "f": "ROUTINES", "T": "TYPES", "n": "SCHEMAS"}


@dataclass(frozen=True, slots=True)
class Place:
    """What privileges are on.

    Attributes:
        path: As GRANT … ON and ALTER take it: word and quoted name; None: what they are on is not there yet.
        column: Its quoted name, where they are on one.
        owner: Oid.
        items: What is held, also by default.
    """

    path: str | None
    column: str | None
    owner: int
    items: Items


def exploded(acl: str, letter: str, owner: str) -> str:
    """Return SQL for privileges as JSON: those that are by default, where none are written down.

    Args:
        acl: SQL of an array of aclitems.
        letter: SQL of the kind of thing, as `acldefault` knows it.
        owner: SQL of its owner.
    """
    # Hazard: an empty array that was text has no dimension, and is refused.
    held = f'coalesce({acl}, pg_catalog.acldefault({letter}::pg_catalog."char", {owner}))'
    return (
        "(SELECT pg_catalog.json_agg(pg_catalog.json_build_array(e.grantor::int8, e.grantee::int8, e.privilege_type, e.is_grantable)) "
        f"FROM pg_catalog.aclexplode(CASE WHEN pg_catalog.cardinality({held}) > 0 THEN {held} END) e)"
    )


def letter_of(operation: Operation) -> str:
    """Return the letter by which `acldefault` knows what an operation is about."""
    if operation["on"] == "default":
        return str(operation["objects"]).replace("S", "s")
    return _LETTERS[operation["on"]]


def place_of(link: Link, operation: Operation, called: str) -> Place:
    """Look up what an operation is about.

    Raises:
        Moved: It is not there.
    """
    query = _PLACES[operation["on"]].format(**operation)
    found = objects(
        link,
        f'SELECT path, "column", owner::int8 AS owner, {exploded("acl", "letter", "owner")} AS items FROM ({query}) y',
    )
    if not found:
        raise Moved(called, "is not there")
    one = found[0]
    return Place(one["path"], one["column"], one["owner"], items_of(map(tuple, one["items"] or ())))


def give(work: Work, operation: Operation, wanted: list[Step], *, owner: int) -> None:
    """Give and take privileges; what is held as it is to be is left, and so is all that is not spoken of.

    Args:
        work: The transaction.
        operation: What they are on, and the names of the roles.
        wanted: What to do.
        owner: Of the thing, as the journal has it.

    Raises:
        Moved: Somebody has given or taken them otherwise since.
    """
    called = operation["called"]
    known = found_again(work.link, {int(oid): name for oid, name in operation["roles"].items()}, called)
    place = place_of(work.link, operation, called)
    if place.owner != known[owner].oid:
        raise Moved(called, "has another owner since")
    names = {role.oid: role for role in known.values()}
    todo = []
    for one in wanted:
        step = one._replace(grantor=known[one.grantor].oid, grantee=known[one.grantee].oid)
        there = place.items.get(step.holding)
        if there not in (step.since, step.to):
            raise Moved(called, f"{_of(names, step)} was given otherwise by somebody else since")
        if there != step.to:
            todo.append(step)
    try:
        for step in in_order(todo, place.items, place.owner):
            _take(work, operation, place, names, step)
    except Entangled:
        raise Moved(called, "has privileges that their holder has given on to others since") from None


def _of(names: dict[int, Role], step: Step) -> str:
    return f"for {names[step.grantee].name}: {step.privilege}"


def _take(work: Work, operation: Operation, place: Place, names: dict[int, Role], step: Step) -> None:
    grantee = names[step.grantee].name
    what = step.privilege + (f" ({place.column})" if place.column is not None else "")
    on = place.path or _OBJECTS[operation["objects"]]
    if step.gives:
        words = f"GRANT {what} ON {on} TO {grantee}{' WITH GRANT OPTION' if step.to else ''}"
    else:
        words = f"REVOKE {'GRANT OPTION FOR ' if step.to is not None else ''}{what} ON {on} FROM {grantee}"
    if operation["on"] == "default":
        work.run(_by_default(work, operation, names[step.grantor]) + words)
        return
    columns = _of_columns(work.link, operation, step)
    # Whoever acts for the owner gives in the owner's name, anybody else in their own.
    with acting_as(work.link, None if step.grantor == place.owner else names[step.grantor].name):
        work.run(words)
        for column in columns:
            work.run(
                f"GRANT {step.privilege} ({column['name']}) ON {on} TO {grantee}{' WITH GRANT OPTION' if column['grantable'] else ''}"
            )


def _of_columns(link: Link, operation: Operation, step: Step) -> list[dict[str, Any]]:
    """Return the columns on which somebody has a privilege that is taken of the table: REVOKE takes it of them, too."""
    if step.gives or operation["on"] != "table":
        return []
    return objects(
        link,
        "SELECT pg_catalog.quote_ident(a.attname) AS name, e.is_grantable AS grantable FROM pg_catalog.pg_attribute a, pg_catalog.aclexplode(a.attacl) e "
        f"WHERE a.attrelid = {operation['oid']} AND NOT a.attisdropped AND e.grantor = {step.grantor} AND e.grantee = {step.grantee} "
        f"AND e.privilege_type = {literal(step.privilege)}",
    )


def _by_default(work: Work, operation: Operation, role: Role) -> str:
    schema = ""
    if operation["schema"]:
        found = objects(
            work.link,
            f"SELECT pg_catalog.quote_ident(nspname) AS name FROM pg_catalog.pg_namespace WHERE oid = {operation['schema']}",
        )
        if not found:
            raise Moved(operation["called"], "is of a schema that is not there")
        schema = f"IN SCHEMA {found[0]['name']} "
    return f"ALTER DEFAULT PRIVILEGES FOR ROLE {role.name} {schema}"


@contextmanager
def acting_as(link: Link, role: str | None) -> Iterator[None]:
    """Act as another role, by its quoted name; None: as who logged in. After an error nothing is put back."""
    if role is None:
        yield
        return
    link.rows(f"SET LOCAL ROLE {role}")
    yield
    link.rows("SET LOCAL ROLE NONE")
