"""What a statement has copied of a table without naming it (`SELECT *`, `LIKE`): hidden columns are taken out of the copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backout.databases.postgres.reversible.link import Link, as_login, objects
from backout.databases.postgres.reversible.names import ident, is_hidden
from backout.databases.postgres.reversible.parse import Statement
from backout.databases.postgres.reversible.proxy.keeper import NOT_COMMITTED, Veto
from backout.databases.postgres.reversible.snapshot import Key, Snapshot

_INDEXES = 1 << 6
"""Source: PostgreSQL 18, src/include/nodes/parsenodes.h, `CREATE_TABLE_LIKE_INDEXES`."""


def take_out_hidden(link: Link, begun: Snapshot, statement: Statement) -> None:
    """Drop hidden columns from a table that a statement has just made: the plain database would not have copied them.

    Args:
        link: The session, in its transaction.
        begun: The catalog when that began: a table that was there is left alone, whatever it has.
        statement: One that has ended well.

    Raises:
        Veto: It has copied an index that is hidden.
    """
    made = _made_by(statement)
    if made is None:
        return
    path = _name(made)
    with as_login(link):
        for one in _likes(statement):
            _refuse_indexes(link, one, statement)
        columns = objects(
            link,
            "SELECT attrelid::int8 AS table, attname AS name FROM pg_catalog.pg_attribute "
            "WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped",
            [path],
            again=True,
        )
        for one in columns:
            if is_hidden(one["name"]) and Key("table", one["table"]) not in begun.things:
                link.rows(f"ALTER TABLE {path} DROP COLUMN {ident(one['name'])}")


def _made_by(statement: Statement) -> Any:
    """Return the relation that a statement makes of others; None: it makes none."""
    node = statement.node
    if statement.kind == "create_table_as_stmt":
        return node.into.rel
    if statement.kind == "select_stmt" and node.HasField("into_clause"):
        return node.into_clause.rel
    if statement.kind == "create_stmt" and any(True for _ in _likes(statement)):
        return node.relation
    return None


def _likes(statement: Statement) -> Iterator[Any]:
    if statement.kind == "create_stmt":
        for one in statement.node.table_elts:
            if one.WhichOneof("node") == "table_like_clause":
                yield one.table_like_clause


def _refuse_indexes(link: Link, like: Any, statement: Statement) -> None:
    if not like.options & _INDEXES:
        return
    found = objects(
        link,
        "SELECT c.relname AS name FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = pg_catalog.to_regclass($1)",
        [_name(like.relation)],
        again=True,
    )
    if any(is_hidden(one["name"]) for one in found):
        raise Veto(
            f"backout cannot leave hidden indexes out of a copy: {' '.join(statement.text.split())[:200]}",
            detail=f"The table that is copied has an index that was dropped, and is hidden; LIKE copies it too. {NOT_COMMITTED}",
            hint="Leave INCLUDING INDEXES out, and make the copy's indexes by CREATE INDEX.",
        )


def _name(relation: Any) -> str:
    return ident(*(name for name in (relation.schemaname, relation.relname) if name))
