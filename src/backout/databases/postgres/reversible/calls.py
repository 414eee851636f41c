"""What a statement calls: the functions, what each does as far as that can be told, and which may do something else."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace

from backout.databases.postgres.reversible import bodies
from backout.databases.postgres.reversible.bodies import Body, NotRead
from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.parse import Statement, called, written_relations
from backout.databases.postgres.reversible.rows.closure import OF_USERS

_HARMLESS = {
    "nextval", "currval", "lastval", "random", "gen_random_uuid", "clock_timestamp", "timeofday", "pg_sleep",
    "uuid_generate_v4", "uuid_generate_v1", "gen_salt", "gen_random_bytes", "txid_current", "pg_current_xact_id",
}  # fmt: skip
"""Volatile, and nothing of what they do is undone, or missed."""


class Outside(NotRead):
    """It may do something that is not undone with its transaction, and so must not be tried."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that may be called.

    Attributes:
        oid: Its identity.
        name: Without its schema.
        definition: The CREATE OR REPLACE FUNCTION that makes it.
        source: Its body.
        language: Of the body.
        parameters: Their names.
        can_tell: It is of the session's role, runs as whoever calls it, and is in a language that is understood.
        body: What it does; None: nobody can tell.
    """

    oid: int
    name: str
    definition: str
    source: str
    language: str
    parameters: list[str]
    can_tell: bool
    body: Body | None = None


@dataclass(frozen=True, slots=True)
class Called:
    """What is called by a statement, directly and by what it calls.

    Attributes:
        block: The body of a DO block; None: it is another statement.
        functions: The functions.
        besides: Names of all that are called elsewhere than in what is told.
    """

    block: Body | None
    functions: list[Function]
    besides: frozenset[str]

    @property
    def known(self) -> set[str]:
        """Names of functions that do nothing but what they tell."""
        return {one.name for one in self.functions} - {one.name for one in self.functions if one.body is None}

    @property
    def bodies(self) -> list[Body]:
        """What the block and the functions do, as far as that can be told."""
        return [
            one for one in (self.block, *(function.body for function in self.functions)) if one is not None
        ]

    @property
    def tellers(self) -> list[tuple[Function, Body]]:
        """The functions that tell something, and what each does."""
        return [(one, one.body) for one in self.functions if one.body is not None and one.body.tells]


def calls_of(link: Link, statement: Statement) -> Called:
    """Return what a statement calls, and what that calls."""
    block = None
    besides: set[str] = set()
    if statement.kind == "do_stmt":
        options = {one.def_elem.defname: one.def_elem.arg.string.sval for one in statement.node.args}
        if options.get("language", "plpgsql") != "plpgsql":
            raise NotRead("it is not of PL/pgSQL")
        block = bodies.read(statement.text, options["as"])
        names, besides = set(block.calls | block.besides), set(block.besides)
    else:
        names = called(statement.node)
        if written_relations(statement):
            raise NotRead("it writes rows besides")
    functions: list[Function] = []
    seen: set[str] = set()
    while new := names - seen:
        seen |= new
        for one in _functions(link, new):
            functions.append(one)
            if one.body is not None:
                names |= one.body.calls | one.body.besides
                besides |= one.body.besides
    return Called(block, functions, frozenset(besides))


def _functions(link: Link, names: Collection[str]) -> list[Function]:
    """Return the functions of these names that are nobody's but users'."""
    found = objects(
        link,
        "SELECT p.oid::int8 AS oid, p.proname AS name, pg_catalog.pg_get_functiondef(p.oid) AS definition, p.prosrc AS source, "
        "l.lanname AS language, coalesce(p.proargnames, '{}') AS parameters, l.lanname IN ('plpgsql', 'sql') AND p.prosqlbody IS NULL AND NOT p.prosecdef AND p.proconfig IS NULL AND p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype "
        "AND pg_catalog.pg_has_role(p.proowner, 'USAGE') AS can_tell "
        "FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang "
        f"WHERE p.prokind IN ('f', 'p') AND {OF_USERS} AND p.proname IN (SELECT pg_catalog.json_array_elements_text($1::json))",
        [json.dumps(sorted(names))],
        again=True,
    )
    return [replace(one, body=_body(one)) for one in (Function(**told) for told in found)]


def _body(function: Function) -> Body | None:
    if not function.can_tell:
        return None
    try:
        if function.language == "sql":
            return bodies.read_sql(function.source, function.name, *function.parameters)
        return bodies.read(function.definition, function.source, function.name)
    except NotRead:
        return None


def with_effects(link: Link, names: Collection[str], known: Collection[str]) -> set[str]:
    """Return which functions of these names may do something that nobody is told of."""
    if not names:
        return set()
    found = objects(
        link,
        "SELECT p.proname AS name, pg_catalog.bool_or(p.pronamespace = 'pg_catalog'::regnamespace) AS system "
        "FROM pg_catalog.pg_proc p WHERE p.provolatile = 'v' "
        "AND p.proname IN (SELECT pg_catalog.json_array_elements_text($1::json)) GROUP BY p.proname",
        [json.dumps(sorted(names))],
        again=True,
    )
    return {
        one["name"]
        for one in found
        if one["name"] not in _HARMLESS and (one["system"] or one["name"] not in known)
    }


def outside(link: Link, names: Collection[str]) -> list[str]:
    """Return which functions of these names may do something outside of the transaction: write to a file, another server, a setting."""
    if not names:
        return []
    found = objects(
        link,
        "SELECT DISTINCT p.proname AS name FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang "
        "WHERE p.provolatile = 'v' AND l.lanname NOT IN ('internal', 'sql', 'plpgsql') "
        "AND p.proname IN (SELECT pg_catalog.json_array_elements_text($1::json)) ORDER BY 1",
        [json.dumps(sorted(names))],
        again=True,
    )
    return [str(one["name"]) for one in found if one["name"] not in _HARMLESS]
