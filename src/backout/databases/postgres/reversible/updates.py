"""Reading an UPDATE: what it sets of which table, and whether it could be run again on other rows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.parse import Statement, nodes_in, nodes_of, written_relations

OTHER_TABLES = "the migration's UPDATE reads other tables"
OTHER_FORM = "the migration's UPDATE is of a form that backout cannot run again"
_FOREIGN = {
    "SubLink": OTHER_TABLES,
    "ParamRef": "the migration's UPDATE was given its values by the client",
    "CurrentOfExpr": "the migration's UPDATE goes by a cursor",
}
_MAY_UPDATE = ("do_stmt", "call_stmt", "execute_stmt", "merge_stmt")


@dataclass(frozen=True, slots=True)
class Update:
    """A plain or other UPDATE.

    Attributes:
        relation: Its table, quoted.
        values: Trees of what it sets, by column; None: not by an expression of its own.
        where: Tree of its condition; None: all rows.
        reads: Names of the columns that it speaks of anywhere; None: it speaks of whole rows.
        why: Why it cannot be run again on other rows, for people; None: it can.
    """

    relation: str
    values: dict[str, Any]
    where: Any
    reads: frozenset[str] | None
    why: str | None


def update_of(statement: Statement) -> Update | None:
    """Return what a statement is as an UPDATE; None: it is another one."""
    if statement.kind != "update_stmt":
        return None
    node = statement.node
    kinds = nodes_in(statement)
    why = next((said for kind, said in _FOREIGN.items() if kind in kinds), None)
    values: dict[str, Any] = {}
    for target in (one.res_target for one in node.target_list):
        own = not target.indirection and target.val.WhichOneof("node") not in (
            "multi_assign_ref",
            "set_to_default",
        )
        values[target.name] = target.val if own else None
    return Update(
        ident(*(name for name in (node.relation.schemaname, node.relation.relname) if name)),
        values,
        node.where_clause if node.HasField("where_clause") else None,
        _reads(statement),
        OTHER_TABLES if node.from_clause or node.HasField("with_clause") else why,
    )


def copied_from(value: Any) -> str | None:
    """Return the column whose value an expression is as it is, or cast to another type; None: it is something else."""
    while value.WhichOneof("node") == "type_cast":
        value = value.type_cast.arg
    if value.WhichOneof("node") != "column_ref":
        return None
    last = value.column_ref.fields[-1]
    return str(last.string.sval) if last.WhichOneof("node") == "string" else None


def _reads(statement: Statement) -> frozenset[str] | None:
    own = statement.node.relation
    tables, names = {own.relname, own.alias.aliasname}, set()
    for node in nodes_of(statement.node, "ColumnRef"):
        last = node.fields[-1]
        if last.WhichOneof("node") != "string" or (len(node.fields) == 1 and last.string.sval in tables):
            return None
        names.add(str(last.string.sval))
    return frozenset(names)


def may_update_besides(statement: Statement) -> bool:
    """Tell whether another statement than an UPDATE may update rows: of what it names, or of what nobody can read."""
    if statement.kind in _MAY_UPDATE:
        return True
    node = statement.node
    if statement.kind == "insert_stmt" and node.HasField("on_conflict_clause"):
        return True
    own = statement.kind in ("insert_stmt", "delete_stmt")
    within = (own or statement.kind == "select_stmt") and node.HasField("with_clause")
    return within and len(written_relations(statement)) > own
