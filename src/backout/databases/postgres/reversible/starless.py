"""SELECT * in what a migration makes of a query: hidden columns are left out, as the plain database has none.

PostgreSQL itself is asked what the star stands for: it makes a view of the query in a savepoint that is rolled back, and prints it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from backout.databases.postgres.reversible.catalog import SHOWS, own_settings
from backout.databases.postgres.reversible.link import Link, LinkError, objects, scalar
from backout.databases.postgres.reversible.names import PREFIX, ident, is_hidden, literal
from backout.databases.postgres.reversible.parse import (
    Statement,
    as_printed,
    deparse,
    nodes,
    nodes_in,
    statements,
)
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.databases.postgres.reversible.verdict import short

_Made = TypeVar("_Made")

_SAVEPOINT = "_bo_star"
_VIEW = "_bo_star"
_KINDS = ("view_stmt", "create_table_as_stmt")


def without_hidden(link: Link, statement: Statement) -> str | None:
    """Return the tag of a statement that was run with the hidden columns left out; None: it is to run as it is.

    Args:
        link: In the client's transaction, as the client's role.
        statement: Any.

    Raises:
        Veto: A hidden column cannot be left out: columns were given names by their place.
    """
    if not asks(statement) or not _any_hidden(link):
        return None
    asked = _asked(link, statement.node, statement.node.query.select_stmt)
    if (asked is None and not _works(link, statement)) or (asked is not None and not asked.shows):
        return None  # it is wrong by itself, which the server says best; or it finds nothing hidden
    wanted = None if asked is None else _left_out(asked.query)
    again = None if wanted is None else _asked(link, statement.node, wanted)
    if wanted is None or again is None or again.shows:
        raise _not_left_out(statement)
    node = type(statement.node)()
    node.CopyFrom(statement.node)
    node.query.select_stmt.CopyFrom(wanted)
    link.rows(deparse(statement.kind, node))
    return _tag(link, statement)


def _not_left_out(statement: Statement) -> Veto:
    return Veto(
        f"backout cannot run this statement as it is: {short(statement)}",
        detail="A column that was dropped is still in its table, hidden, and * finds it; it cannot be left out here.",
        hint="Name the columns that the query is to return.",
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What PostgreSQL makes of a query: its tree without stars, and whether it speaks of a hidden column."""

    query: Any
    shows: bool


def asks(statement: Statement) -> bool:
    """Tell whether a statement makes something of a query that may have a star."""
    if statement.kind not in _KINDS:
        return False
    nodes = nodes_in(statement)
    return {"A_Star", "SelectStmt"} <= nodes and "ParamRef" not in nodes


def _any_hidden(link: Link) -> bool:
    found = scalar(
        link,
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE pg_catalog.starts_with(attname::text, "
        f"{literal(PREFIX)}) AND attnum > 0 AND NOT attisdropped)",
    )
    return found in ("t", "true")


def _asked(link: Link, node: Any, query: Any) -> _Asked | None:
    """Have PostgreSQL make a view of a query, where the statement's own would be; None: it makes none."""
    relation = node.view if node.DESCRIPTOR.name == "ViewStmt" else node.into.rel
    (made,) = statements("CREATE VIEW v AS SELECT 1")
    made.node.view.schemaname, made.node.view.relname = relation.schemaname, _VIEW
    made.node.query.select_stmt.CopyFrom(query)
    return _tried(link, lambda: _made(link, deparse(made.kind, made.node), relation.schemaname))


def _made(link: Link, view: str, schema: str) -> _Asked:
    link.rows(view)
    path = ident(*(one for one in (schema, _VIEW) if one))
    oid = scalar(link, f"SELECT {literal(path)}::pg_catalog.regclass::pg_catalog.oid::pg_catalog.int8")
    with own_settings(link):
        (told,) = objects(
            link,
            f"SELECT pg_get_viewdef(c.oid) AS text, {SHOWS} IS NOT NULL AS shows FROM pg_class c WHERE c.oid = {oid}",
        )
    (found,) = statements(as_printed(told["text"].strip().rstrip(";"), head=""))
    return _Asked(found.node, told["shows"])


def _works(link: Link, statement: Statement) -> bool:
    return _tried(link, lambda: link.rows(statement.text)) is not None


def _tried(link: Link, do: Callable[[], _Made]) -> _Made | None:
    """Return what comes of something that is undone; None: the server refuses it."""
    link.rows(f"SAVEPOINT {_SAVEPOINT}")
    try:
        return do()
    except LinkError:
        return None
    finally:
        link.rows(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        link.rows(f"RELEASE SAVEPOINT {_SAVEPOINT}")


def _left_out(query: Any) -> Any | None:
    """Return a query without the hidden columns that it, and those within it, return; None: they were counted by somebody."""
    if any(_named_by_place(node) and _hidden_in(node) for node in nodes(query)):
        return None
    for node in _hidden_in(query):
        _set(node.target_list, [one for one in node.target_list if not _is_hidden(one.res_target)])
    return query


def _hidden_in(tree: Any) -> list[Any]:
    """Return the queries within a tree that return a hidden column as it is."""
    return [
        node
        for node in nodes(tree)
        if type(node).__name__ == "SelectStmt" and any(_is_hidden(one.res_target) for one in node.target_list)
    ]


def _named_by_place(node: Any) -> bool:
    """Tell whether something tells a query's columns by their place: hidden ones were counted with the others."""
    kind = type(node).__name__
    if kind == "RangeSubselect":
        return bool(node.alias.colnames)
    if kind == "CommonTableExpr":
        return bool(node.aliascolnames)
    # PostgreSQL prints what a union is sorted by as the numbers of columns.
    return kind == "SelectStmt" and node.HasField("larg") and bool(node.sort_clause)


def _is_hidden(target: Any) -> bool:
    if target.val.WhichOneof("node") != "column_ref" or (target.name and not is_hidden(target.name)):
        return False
    last = target.val.column_ref.fields[-1]
    return last.WhichOneof("node") == "string" and is_hidden(last.string.sval)


def _set(field: Any, wanted: list[Any]) -> None:
    copies = [type(one)() for one in wanted]
    for copy, one in zip(copies, wanted, strict=True):
        copy.CopyFrom(one)
    del field[:]
    field.extend(copies)


def _tag(link: Link, statement: Statement) -> str:
    node = statement.node
    if statement.kind == "view_stmt":
        return "CREATE VIEW"
    into = node.into
    if into.skip_data:
        word = node.DESCRIPTOR.fields_by_name["objtype"].enum_type.values_by_number[node.objtype].name
        return "CREATE MATERIALIZED VIEW" if word == "OBJECT_MATVIEW" else "CREATE TABLE AS"
    path = ident(*(one for one in (into.rel.schemaname, into.rel.relname) if one))
    return f"SELECT {scalar(link, f'SELECT pg_catalog.count(*) FROM {path}')}"
