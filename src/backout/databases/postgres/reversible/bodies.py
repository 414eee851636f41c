"""A body of PL/pgSQL, or of SQL, that tells of each statement before it runs one. Pure.

What is static tells its text, with the values of variables in their places; what is EXECUTEd tells what it was put together to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backout.databases.postgres.reversible.names import literal
from backout.databases.postgres.reversible.parse import (
    NotParsed,
    Statement,
    called,
    nodes_of,
    plpgsql,
    statements,
    tokens,
    written_relations,
)

TELL = "pg_temp._bo_ran"
"""The function that is told: a text, whether values are put into it, and those of its parameters; it returns the text."""

_BEGINNERS = ("begin", "then", "else", "loop", ";", ">>")
_STATIC = {"PLpgSQL_stmt_execsql": "sqlstmt", "PLpgSQL_stmt_perform": "expr", "PLpgSQL_stmt_call": "expr"}
_DYNAMIC = "PLpgSQL_stmt_dynexecute"
_WITH_VALUES = (
    "insert_stmt",
    "update_stmt",
    "delete_stmt",
    "merge_stmt",
    "select_stmt",
    "call_stmt",
    "create_table_as_stmt",
)
_ASSIGNS = re.compile(r"[^:=]*:?=")
_NAME = re.compile(r"[\w$.\"]+")


class NotRead(Exception):
    """Nobody can tell for sure what a body runs."""


@dataclass(frozen=True, slots=True)
class Body:
    """What a body does.

    Attributes:
        telling: The same, which tells.
        tells: Whether it has anything to tell of.
        calls: Names of functions that it calls in what it tells.
        besides: Names of those that it calls elsewhere.
    """

    telling: str
    tells: bool
    calls: frozenset[str]
    besides: frozenset[str]


def read(definition: str, body: str, *names: str) -> Body:
    """Return what a body does.

    Args:
        definition: The DO, or CREATE FUNCTION, that has it.
        body: The body itself.
        names: What its variables may be named after: the function's own.

    Raises:
        NotRead: Nobody can tell.
    """
    if "#variable_conflict" in body.lower():
        raise NotRead("it says itself whether a name is a variable's or a column's")
    try:
        tree = plpgsql(definition)
        parts = list(_parts(tree))
        reader = _Reader(body, {*_names(parts), *names})
        besides = {name for kind, one in parts for name in reader.take(kind, one)}
    except NotParsed as error:
        raise NotRead(str(error)) from None
    return Body(reader.text(), bool(reader.edits), frozenset(reader.calls), frozenset(besides))


def read_sql(body: str, *names: str) -> Body:
    """Return what a body of SQL does.

    Args:
        body: The body.
        names: Of the function and its parameters.

    Raises:
        NotRead: Nobody can tell.
    """
    try:
        found = statements(body)
    except NotParsed as error:
        raise NotRead(str(error)) from None
    calls = frozenset(name for one in found for name in called(one.node))
    if all(one.kind == "select_stmt" and not written_relations(one) for one in found):
        return Body(body, tells=False, calls=frozenset(), besides=calls)
    telling = "; ".join(f"SELECT {TELL}({_told(one, set(names))}); {one.text}" for one in found)
    return Body(telling, tells=True, calls=calls, besides=frozenset())


def _parts(tree: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the parts of a tree with what each is, in their order in the body; a statement of SQL is one part."""
    if isinstance(tree, list):
        for one in tree:
            yield from _parts(one)
    elif isinstance(tree, dict):
        for kind, one in tree.items():
            if kind.startswith("PLpgSQL_"):
                yield kind, one
            if kind not in (*_STATIC, _DYNAMIC):
                yield from _parts(one)


def _names(parts: list[tuple[str, dict[str, Any]]]) -> set[str]:
    """Return what may stand for a variable in a statement, or before it."""
    return {str(one[key]) for _kind, one in parts for key in ("refname", "label") if key in one}


class _Reader:
    """Goes through a body from the front."""

    def __init__(self, body: str, names: set[str]) -> None:
        self._body, self._names = body, names
        self._tokens = tokens(body)
        self._next = 0
        self.edits: list[tuple[int, int, str]] = []
        self.calls: set[str] = set()

    def text(self) -> str:
        """Return the body with what tells."""
        told = self._body
        for start, end, text in reversed(self.edits):
            told = f"{told[:start]}{text}{told[end:]}"
        return told

    def take(self, kind: str, one: dict[str, Any]) -> set[str]:
        """Have a part told, if it is a statement; return the functions that it calls besides."""
        if kind in _STATIC:
            self._static(kind, one)
        elif kind == _DYNAMIC:
            return self._dynamic(one)
        elif kind == "PLpgSQL_expr":
            return _calls(one["query"])
        return set()

    def _static(self, kind: str, one: dict[str, Any]) -> None:
        query = one[_STATIC[kind]]["PLpgSQL_expr"]["query"]
        wanted = [token.text for token in tokens(query)]
        if kind == "PLpgSQL_stmt_perform":
            wanted[0] = "perform"  # the tree has it as a SELECT
        at = self._found(one["lineno"], wanted)
        (statement,) = statements(query)
        self.calls |= called(statement.node)
        told = _told(statement, self._names)
        self.edits.append((at, at, f"IF {TELL}({told}) IS NULL THEN END IF; "))

    def _dynamic(self, one: dict[str, Any]) -> set[str]:
        query = one["query"]["PLpgSQL_expr"]["query"]
        wanted = [token.text for token in tokens(query)]
        self._found(one["lineno"], ["execute", *wanted])
        first, last = self._tokens[self._next - len(wanted)], self._tokens[self._next - 1]
        values = [str(value["PLpgSQL_expr"]["query"]) for value in one.get("params", ())]
        if any(_NAME.fullmatch(value) is None for value in values):
            raise NotRead("EXECUTE is given a value that is computed")
        told = ", ".join([f"({query})::pg_catalog.text", "true", *(_as_value(value) for value in values)])
        self.edits.append((first.at, last.end, f"{TELL}({told})"))
        return _calls(query)

    def _found(self, line: int, wanted: list[str]) -> int:
        """Return where a statement begins, and go on behind it.

        Args:
            line: Of the body, in which it begins, from 1.
            wanted: What it consists of.
        """
        for index in range(self._next, len(self._tokens)):
            before = self._tokens[index - 1].text.lower() if index else ";"
            one = self._tokens[index]
            if self._body.count("\n", 0, one.at) + 1 != line or before not in _BEGINNERS:
                continue
            if same := self._same(index, wanted):
                self._next = index + same
                return one.at
        raise NotRead(f"a statement in line {line} is not found")

    def _same(self, index: int, wanted: list[str]) -> int:
        """Return how many words are those wanted: all, or all up to an INTO, which the tree leaves out; 0: they are others."""
        there = [one.text for one in self._tokens[index : index + len(wanted)]]
        for count, (a, b) in enumerate(zip(there, wanted, strict=False)):
            if a != b and not (count == 0 and a.lower() == b.lower()):
                return count if a.lower() == "into" else 0
        return len(wanted) if len(there) == len(wanted) else 0


def _calls(query: str) -> set[str]:
    """Return the names of the functions that an expression, an assignment or a query calls."""
    for text in (query, f"SELECT {query}", f"SELECT {_ASSIGNS.sub('', query, count=1)}"):
        try:
            found = statements(text)
        except NotParsed:
            continue
        if any(written_relations(one) for one in found):
            raise NotRead("a query that it reads writes, too")
        return {name for one in found for name in called(one.node)}
    raise NotRead(f"an expression is not understood: {query}")


def _told(statement: Statement, names: set[str]) -> str:
    """Return what a statement that is about to run tells: its text, with values in place of variables."""
    query = statement.text
    places = sorted(_places(statement, query, names)) if statement.kind in _WITH_VALUES else []
    if not places:
        return f"{literal(query)}, false"
    text, at, values = "", 0, []
    for start, end in places:
        text += f"{query[at:start].replace('%', '%%')}(%L::%s)"
        at = end
        values.append(f"{query[start:end]}, pg_catalog.pg_typeof({query[start:end]})")
    text += query[at:].replace("%", "%%")
    return f"pg_catalog.format({literal(text)}, {', '.join(values)}), true"


def _places(statement: Statement, query: str, names: set[str]) -> Iterator[tuple[int, int]]:
    """Yield from where to where variables are named in a statement."""
    found = tokens(query)
    for select in nodes_of(statement.node, "SelectStmt"):
        if any(one.res_target.name in names for one in select.target_list):
            raise NotRead("a column of a query is called like a variable")
    for one in nodes_of(statement.node, "ColumnRef", "ParamRef"):
        size = 1
        if type(one).__name__ == "ColumnRef":
            if one.fields[0].WhichOneof("node") != "string" or one.fields[0].string.sval not in names:
                continue
            if any(field.WhichOneof("node") != "string" for field in one.fields):
                raise NotRead("all of a record is used at once")
            size = 2 * len(one.fields) - 1
        start = len(query.encode()[: one.location].decode())
        at = next(index for index, token in enumerate(found) if token.at == start)
        yield start, found[at + size - 1].end


def _as_value(name: str) -> str:
    return f"pg_catalog.format('(%L::%s)', {name}, pg_catalog.pg_typeof({name}))"
