"""The locks of all tables that a softened statement works on, taken at once or not at all, before anything is done.

PostgreSQL's own DROP TABLE takes them one after the other, and what is done instead would in another order: a client that
writes into two of them at the same time, as every foreign key does, could be the victim of a deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence

from backout.databases.postgres.reversible.link import Link, LinkError, objects
from backout.databases.postgres.reversible.locks import (
    Numbered,
    asked_again,
    lock_sequences,
    of_sequences,
)
from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.parse import Statement, object_of

_PATIENCE_S = 2.0
_SAVEPOINT = "_bo_beforehand"


def lock_beforehand(link: Link, statement: Statement) -> None:
    """Lock the tables that a statement changes, and those with a foreign key between, as their change will.

    Where they are not to be had in time, or not at all, none is locked: PostgreSQL waits for them, or says what is the matter,
    as it does without us.

    Args:
        link: In the client's transaction.
        statement: An ALTER TABLE or a DROP.
    """
    named = named_in(statement)
    tables = _tables(link, named) if named else {}
    if not tables:
        return
    numbered = _numbered(link, statement, named)
    try:
        asked_again(lambda: _lock(link, ", ".join(tables.values()), numbered), patience_s=_PATIENCE_S)
    except LinkError:
        return


def _tables(link: Link, named: list[str]) -> dict[int, str]:
    oids = ", ".join(f"pg_catalog.to_regclass({literal(one)})" for one in named)
    found = objects(
        link,
        f"""WITH named AS (SELECT pg_catalog.unnest(ARRAY[{oids}]::oid[]) AS oid)
        SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND c.oid IN (
          SELECT oid FROM named UNION SELECT k.conrelid FROM pg_catalog.pg_constraint k WHERE k.contype = 'f'
            AND k.confrelid IN (SELECT oid FROM named)
          UNION SELECT k.confrelid FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.conrelid IN (SELECT oid FROM named))
        ORDER BY c.oid""",
    )
    return {one["oid"]: ident(one["schema"], one["name"]) for one in found}


def _numbered(link: Link, statement: Statement, named: list[str]) -> list[Numbered]:
    """Return the columns that an ALTER TABLE is about, or the tables that are dropped: their sequences go with them."""
    oids = ", ".join(f"pg_catalog.to_regclass({literal(one)})" for one in named)
    columns = "SELECT 0 AS attnum"
    if statement.kind == "alter_table_stmt":
        names = ", ".join(literal(one.alter_table_cmd.name) for one in statement.node.cmds)
        columns = f"SELECT attnum FROM pg_catalog.pg_attribute WHERE attrelid = t.oid AND attname IN ({names}) AND attnum > 0"
    found = objects(
        link,
        f"SELECT t.oid::int8 AS oid, a.attnum FROM pg_catalog.unnest(ARRAY[{oids}]::oid[]) t(oid), LATERAL ({columns}) a "
        "WHERE t.oid IS NOT NULL",
    )
    return [(one["oid"], one["attnum"]) for one in found]


def named_in(statement: Statement) -> list[str]:
    """Return the quoted names of the tables, or what else has rows or numbers, that an ALTER TABLE or a DROP names."""
    node = statement.node
    if statement.kind == "alter_table_stmt":
        return [ident(*(name for name in (node.relation.schemaname, node.relation.relname) if name))]
    # Types and functions have no such list, and an index is no table.
    names = [[part.string.sval for part in one.list.items] for one in node.objects]
    if object_of(statement) == "OBJECT_TRIGGER":
        return []  # its own table is all that it locks
    return [ident(*one) for one in names if one]


def _lock(link: Link, tables: str, numbered: Sequence[Numbered]) -> None:
    sequences = of_sequences(link, numbered)
    link.rows(f"SAVEPOINT {_SAVEPOINT}")
    try:
        lock_sequences(link, sequences)
        link.rows(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE NOWAIT")
    except LinkError:
        link.rows(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        raise
    finally:
        link.rows(f"RELEASE SAVEPOINT {_SAVEPOINT}")
