"""What a DO block, or a function that is called, runs in the end: run in a savepoint, with bodies that tell, and undone.

What a body runs may be found out only while it runs. Done again, statement by statement, each of them is what it is
anywhere else: one that destroys something can be softened.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from backout.databases.postgres.reversible import learned
from backout.databases.postgres.reversible.bodies import TELL, NotRead
from backout.databases.postgres.reversible.calls import Called, Outside, calls_of, outside, with_effects
from backout.databases.postgres.reversible.fingerprint import Print, differences, read_print
from backout.databases.postgres.reversible.link import Link, LinkError, Table, as_login, objects, scalar
from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.parse import (
    NotParsed,
    Statement,
    called,
    nodes_of,
    statements,
    written_relations,
)
from backout.databases.postgres.reversible.prints.words import shown, shown_schema
from backout.databases.postgres.reversible.proxy.keeper import NOT_COMMITTED, Done, Veto
from backout.databases.postgres.reversible.rows.closure import sources
from backout.databases.postgres.reversible.rows.counts import Counts, changed
from backout.databases.postgres.reversible.snapshot import Snapshot
from backout.databases.postgres.reversible.unhidden import STILL_NEEDED, drop_hidden
from backout.databases.postgres.reversible.verdict import short

_TRY = "_bo_unrolled"
_IN_THE_WAY = (STILL_NEEDED, "0A000")
"""SQLSTATEs of DROP, and of ALTER … TYPE, of what something depends on."""

_WORD = re.compile(r"\w+")
_MATTERS = re.compile(
    r"\b(drop|execute|truncate|detach|alter\b[^;]*\btype|add\s+(?!constraint|primary|unique|foreign|check)\w+)\b",
    re.IGNORECASE,
)
_PROGRAM = re.compile(r"\bcopy\b.*\bprogram\b", re.IGNORECASE | re.DOTALL)
# What a block undoes by an EXCEPTION is undone here, too.
_LISTENING = (
    "CREATE TEMPORARY TABLE _bo_ran (n int PRIMARY KEY, text text, given bool, sent text[]) ON COMMIT DROP",
    (
        f"CREATE FUNCTION {TELL}(text, bool, VARIADIC sent text[] DEFAULT '{{}}') RETURNS text LANGUAGE plpgsql "
        "SET search_path = pg_catalog AS 'BEGIN INSERT INTO pg_temp._bo_ran "
        "SELECT coalesce(max(n), 0) + 1, $1, $2, $3 FROM pg_temp._bo_ran; RETURN $1; END'"
    ),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """What had come of a block at its end.

    Attributes:
        schema: The schemas.
        counts: Rows inserted, updated and deleted, by the name of a table.
        content: A digest of all rows of each of them; empty: they need not be the same.
    """

    schema: Print
    counts: dict[str, tuple[int, ...]]
    content: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Unrolled:
    """What a block runs.

    Attributes:
        steps: The statements, one after the other.
        done: What the client hears of it.
        ended: What has to come of them; None: nobody need compare.
    """

    steps: list[Statement]
    done: Done = field(default_factory=lambda: Done("DO"))
    ended: Ended | None = None


def may_matter(link: Link, statement: Statement) -> bool:
    """Tell whether it may matter what a DO block, or what is called, runs, as far as texts tell: to destroy, or to add a column."""
    texts = [statement.text] if statement.kind == "do_stmt" else []
    names = set(_WORD.findall(statement.text)) if statement.kind == "do_stmt" else called(statement.node)
    return any(_MATTERS.search(one) for one in (*texts, *sources(link, names)))


def unroll(
    link: Link,
    block: Statement,
    matters: Callable[[Statement], bool],
    read: Callable[[Link], Snapshot],
    tried: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Unrolled | None:
    """Return what a block runs; it may be run for that, and is undone.

    Args:
        link: The session, in its transaction.
        block: A DO, or a SELECT or CALL.
        matters: Tells whether a statement that it runs is one that has to be seen.
        read: Reads the catalog.
        tried: Is entered before something is run that is undone, and left after it.

    Returns:
        None: It may run as it is: it fails and will say so, nothing that it does matters, or nobody can tell what it does.
    """
    is_block = block.kind == "do_stmt"
    steps = learned.steps_of(block) if is_block else []
    if any(matters(one) for one in steps):
        return Unrolled(steps)
    if not may_matter(link, block):
        return None
    with tried():
        try:
            return _unrolled(link, block, matters, read)
        except Outside:
            return None
        except NotRead:
            drops = learned.dropped_by(link, block, read) if is_block else []
            return Unrolled(drops) if drops else None


def _unrolled(
    link: Link, block: Statement, matters: Callable[[Statement], bool], read: Callable[[Link], Snapshot]
) -> Unrolled | None:
    """Run a block, and undo it; return what it ran; None: nothing of it matters.

    Raises:
        NotRead: Nobody can tell for sure what it runs; or it fails.
    """
    found = calls_of(link, block)
    names = found.besides.union(*(one.calls for one in found.bodies), called(block.node))
    if any(_PROGRAM.search(one.telling) for one in found.bodies):
        raise Outside("it may run a program")
    if others := outside(link, names):
        raise Outside(f"it calls {', '.join(others)}")
    if block.kind != "do_stmt":
        _is_step(link, block, found)
    if lost := with_effects(link, found.besides, found.known):
        raise NotRead(f"it calls {', '.join(sorted(lost))}")
    conflicts = scalar(link, "SELECT pg_catalog.current_setting('plpgsql.variable_conflict', true)")
    if conflicts not in (None, "", "error"):
        raise NotRead(f"plpgsql.variable_conflict is {conflicts}")
    try:
        return _tried(link, block, found, matters)
    except LinkError as error:
        if error.sqlstate not in _IN_THE_WAY:
            raise NotRead(str(error)) from None
    try:
        return _tried(link, block, found, matters, without=read)
    except LinkError as error:
        raise NotRead(str(error)) from None


def _tried(
    link: Link,
    block: Statement,
    found: Called,
    matters: Callable[[Statement], bool],
    without: Callable[[Link], Snapshot] | None = None,
) -> Unrolled | None:
    """Run a block in a savepoint, and undo it.

    Args:
        link: The session.
        block: The block.
        found: What it calls.
        matters: Tells whether a statement has to be seen.
        without: Reads the catalog: what is hidden is in its way, and is dropped first.
    """
    link.rows(f"SAVEPOINT {_TRY}")
    try:
        if without is not None:
            with as_login(link):
                drop_hidden(link, without(link))
        for one in _LISTENING:
            link.rows(one)
        for function, body in found.tellers:
            link.rows(_another(function.definition, function.source, body.telling))
        before = changed(link)
        answer = link.table(block.text if found.block is None else _do(found.block.telling))
        steps, given = _steps(link, found)
        if not any(matters(one) for one in steps):
            return None
        for function, _body in found.tellers:
            if scalar(link, f"SELECT 1 AS there FROM pg_catalog.pg_proc WHERE oid = {function.oid}"):
                link.rows(function.definition)
        with as_login(link):
            counts = named_counts(link, since(before, changed(link)))
            content = {name: digest(link, name) for name in counts} if given else {}
            return Unrolled(steps, _done(link, block, answer), Ended(read_print(link), counts, content))
    finally:
        link.rows(f"ROLLBACK TO SAVEPOINT {_TRY}")
        link.rows(f"RELEASE SAVEPOINT {_TRY}")


def _steps(link: Link, found: Called) -> tuple[list[Statement], bool]:
    """Return what was told, in order, and whether values were put into it."""
    told = objects(link, "SELECT text, given, sent FROM pg_temp._bo_ran ORDER BY n")
    steps = [
        one for part in told for one in _parsed(part["text"], part["sent"]) if _is_step(link, one, found)
    ]
    return steps, any(one["given"] for one in told)


def _parsed(text: str, values: list[str]) -> list[Statement]:
    """Return the statements of a text, with values in the places of its parameters."""
    try:
        found = statements(text)
        if not values:
            return found
        places = [(one.location, one.number) for step in found for one in nodes_of(step.node, "ParamRef")]
        raw = text.encode()
        for at, number in sorted(places, reverse=True):
            raw = raw[:at] + values[number - 1].encode() + raw[at + 1 + len(str(number)) :]
        return statements(raw.decode())
    except NotParsed as error:
        raise NotRead(str(error)) from None


def _is_step(link: Link, statement: Statement, found: Called) -> bool:
    """Tell whether a statement has to be run again: what functions tell that it calls is among the rest."""
    if statement.kind in ("", "transaction_stmt"):
        raise NotRead("it ends the transaction")
    calls = called(statement.node)
    by_others = with_effects(link, calls, found.known)
    telling = calls & {function.name for function, _body in found.tellers}
    reads = statement.kind in ("select_stmt", "call_stmt") and not written_relations(statement)
    if telling and (by_others or not reads):
        raise NotRead(f"a statement does more than call {', '.join(sorted(telling))}")
    return not reads or bool(by_others)


def _another(definition: str, source: str, telling: str) -> str:
    """Return what makes a function with another body."""
    head, _body, _rest = definition.rpartition(source)
    tag = head[head.rindex("AS $") + 3 :]
    quote = "$_bo_body$"
    return f"{head.removesuffix(tag)}{quote}{telling}{quote}"


def _done(link: Link, block: Statement, answer: Table) -> Done:
    """Return what a client hears of what it has called: the rows that it got."""
    if block.kind == "do_stmt":
        return Done("DO")
    if block.kind == "call_stmt":
        if answer.columns:
            raise NotRead("it returns values")
        return Done("CALL")
    if not answer.columns:
        raise NotRead("it makes a table")
    types = [
        scalar(link, f"SELECT pg_catalog.format_type({type_}, {modifier}) AS type")
        for _name, type_, modifier in answer.columns
    ]
    rows = [
        "(" + ", ".join(f"{literal(value)}::{type_}" for value, type_ in zip(row, types, strict=True)) + ")"
        for row in answer.rows or [[None] * len(types)]
    ]
    names = ", ".join(ident(name) for name, _type, _modifier in answer.columns)
    none = "" if answer.rows else " WHERE false"
    return Done(
        f"SELECT {len(answer.rows)}", f"SELECT * FROM (VALUES {', '.join(rows)}) answer({names}){none}"
    )


def _do(telling: str) -> str:
    return f"DO LANGUAGE plpgsql $_bo_body${telling}$_bo_body$"


def since(before: Counts, now: Counts) -> dict[int, tuple[int, ...]]:
    """Return how many rows more were changed of each table. Pure."""
    found = {
        oid: tuple(a - b for a, b in zip(counts, before.get(oid, (0, 0, 0)), strict=True))
        for oid, counts in now.items()
    }
    return {oid: counts for oid, counts in found.items() if any(counts)}


def named_counts(link: Link, counts: dict[int, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return counts by names, quoted, of tables that are neither hidden nor temporary."""
    if not counts:
        return {}
    found = objects(
        link,
        "SELECT c.oid::int8 AS oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name FROM pg_catalog.pg_class c "
        f"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN ({', '.join(map(str, counts))}) "
        f"AND {shown('c.relname')} AND {shown_schema('n.nspname')}",
    )
    return {str(one["name"]): counts[one["oid"]] for one in found}


def digest(link: Link, table: str) -> str | None:
    """Return what is another whenever a row of a table is, in those columns that are not hidden."""
    columns = objects(
        link,
        f"SELECT attname AS name FROM pg_catalog.pg_attribute WHERE attrelid = {literal(table)}::regclass AND attnum > 0 "
        f"AND NOT attisdropped AND {shown('attname')} ORDER BY attname",
    )
    row = ", ".join(ident(str(one["name"])) for one in columns)
    return scalar(
        link,
        f"SELECT pg_catalog.sum(pg_catalog.hashtextextended(ROW({row})::pg_catalog.text, 0)) FROM ONLY {table}",
    )


def run_again(link: Link, block: Statement, unrolled: Unrolled, run: Callable[[Statement], bool]) -> None:
    """Run what a block runs, statement by statement, and see to it that the same has come of it.

    Args:
        link: The session.
        block: The block.
        unrolled: What it runs.
        run: Runs a statement; tells whether it was run otherwise, so that the rows it changes are no matter.

    Raises:
        Veto: Something else has come of it.
    """
    total: dict[int, tuple[int, ...]] = {}
    for one in unrolled.steps:
        before = changed(link)
        try:
            if run(one):
                continue
        except LinkError as error:
            if unrolled.ended is None:
                raise
            raise _differs(block, f"{short(one)}: {error}") from None
        for oid, rows in since(before, changed(link)).items():
            total[oid] = tuple(a + b for a, b in zip(rows, total.get(oid, (0, 0, 0)), strict=True))
    ended = unrolled.ended
    if ended is None:
        return
    with as_login(link):
        others = differences(ended.schema, read_print(link))
        counts = named_counts(link, {oid: one for oid, one in total.items() if any(one)})
        content = {name: digest(link, name) for name in counts} if ended.content else {}
    if others:
        raise _differs(block, str(others[0]))
    for name in sorted(ended.counts.keys() | counts.keys()):
        if ended.counts.get(name) != counts.get(name) or ended.content.get(name) != content.get(name):
            raise _differs(block, f"other rows of {name}")


def _differs(block: Statement, what: str) -> Veto:
    return Veto(
        f"backout cannot run this statement by statement: {short(block)}",
        detail=f"So what it drops or changes could not be undone. Something else came of it: {what}. {NOT_COMMITTED}",
        hint="Write what it drops or changes as statements of their own.",
    )
