"""What a statement's text alone tells: how it is to be run, its command tag, and whether it is refused at once."""

from __future__ import annotations

import re

from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, PREFIX, SCHEMA, is_hidden
from backout.databases.postgres.reversible.parse import Statement, names_told, object_of
from backout.databases.postgres.reversible.passes import detaches_beside
from backout.databases.postgres.reversible.proxy.keeper import Manner

_FREE = {
    "variable_set_stmt", "variable_show_stmt", "listen_stmt", "unlisten_stmt", "notify_stmt", "discard_stmt",
    "deallocate_stmt", "check_point_stmt", "constraints_set_stmt", "close_portal_stmt", "fetch_stmt",
}  # fmt: skip

_REFUSED = {
    "createdb_stmt": "It makes another database.",
    "dropdb_stmt": "It drops another database.",
    "alter_database_stmt": "It is about the database as a whole.",
    "alter_database_set_stmt": "It is about the database as a whole.",
    "create_role_stmt": "Roles belong to the whole server.",
    "alter_role_stmt": "Roles belong to the whole server.",
    "alter_role_set_stmt": "Roles belong to the whole server.",
    "drop_role_stmt": "Roles belong to the whole server.",
    "grant_role_stmt": "Roles belong to the whole server.",
    "alter_system_stmt": "It is about the whole server.",
    "create_table_space_stmt": "It is about the whole server.",
    "drop_table_space_stmt": "It is about the whole server.",
    "drop_owned_stmt": "What it would drop is not told by it.",
    "reassign_owned_stmt": "What it would change is not told by it.",
    "load_stmt": "It loads a program into the server.",
    "create_subscription_stmt": "A subscription has a part on another server.",
    "alter_subscription_stmt": "A subscription has a part on another server.",
    "drop_subscription_stmt": "A subscription has a part on another server.",
    "cluster_stmt": "It rewrites a table.",
    "reindex_stmt": "It makes other indexes of those that the journal knows.",
}

_WIDE = {
    "OBJECT_DATABASE": "database",
    "OBJECT_TABLESPACE": "tablespace",
    "OBJECT_LANGUAGE": "language",
    "OBJECT_PARAMETER_ACL": "parameter of the server",
}

_BESIDE = re.compile(r"^(\s*DROP\s+INDEX\s+)CONCURRENTLY\b", re.IGNORECASE)
_ALONE = {
    "createdb_stmt", "dropdb_stmt", "alter_system_stmt", "create_table_space_stmt", "drop_table_space_stmt",
    "create_subscription_stmt", "alter_subscription_stmt", "drop_subscription_stmt",
}  # fmt: skip

_TAGS = {"alter_table_stmt": "ALTER TABLE"}
_DROPS = {
    "OBJECT_TABLE": "DROP TABLE",
    "OBJECT_FOREIGN_TABLE": "DROP FOREIGN TABLE",
    "OBJECT_INDEX": "DROP INDEX",
    "OBJECT_SEQUENCE": "DROP SEQUENCE",
    "OBJECT_TYPE": "DROP TYPE",
    "OBJECT_DOMAIN": "DROP DOMAIN",
    "OBJECT_TRIGGER": "DROP TRIGGER",
    "OBJECT_FUNCTION": "DROP FUNCTION",
    "OBJECT_PROCEDURE": "DROP PROCEDURE",
    "OBJECT_ROUTINE": "DROP ROUTINE",
    "OBJECT_SCHEMA": "DROP SCHEMA",
    "OBJECT_AGGREGATE": "DROP AGGREGATE",
}


def manner_of(statement: Statement) -> Manner:
    """Tell how to run a statement."""
    node = statement.node
    if statement.kind in ("index_stmt",) and node.concurrent:
        return Manner.ALONE
    if statement.kind == "drop_stmt" and node.concurrent:
        return Manner.ALONE
    if statement.kind == "vacuum_stmt" and node.is_vacuumcmd:
        return Manner.ALONE
    if statement.kind in _FREE or statement.kind == "":
        return Manner.FREE
    return Manner.WRAPPED


def in_a_transaction(statement: Statement) -> str:
    """Return a DROP as it can be in a transaction: an index that is hidden keeps nobody waiting."""
    beside = statement.kind == "drop_stmt" and statement.node.concurrent
    return _BESIDE.sub(r"\1", statement.text, count=1) if beside else statement.text


def has_to_be_alone(statement: Statement) -> bool:
    """Tell whether PostgreSQL takes a statement outside a transaction only, of those that are refused here."""
    node = statement.node
    if statement.kind == "reindex_stmt":
        kind = node.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number[node.kind].name
        whole = kind in ("REINDEX_OBJECT_SCHEMA", "REINDEX_OBJECT_SYSTEM", "REINDEX_OBJECT_DATABASE")
        return whole or any(one.def_elem.defname == "concurrently" for one in node.params)
    if statement.kind == "cluster_stmt":
        return not node.HasField("relation")
    return statement.kind in _ALONE or detaches_beside(statement)


def why_refused(statement: Statement) -> str | None:
    """Tell why a statement cannot be undone, whatever it does; None: it may run, and what it did is looked at."""
    if statement.kind == "vacuum_stmt" and any(
        one.def_elem.defname == "full" for one in statement.node.options
    ):
        return "VACUUM FULL rewrites a table."
    if detaches_beside(statement):
        return "DETACH PARTITION CONCURRENTLY takes two transactions; a plain DETACH PARTITION takes the table's lock for a moment only."
    if statement.kind == "grant_stmt" and (what := _granted_on(statement)) in _WIDE:
        return f"Privileges on a {_WIDE[what]} are not looked at."
    if own := next((one for one in names_told(statement) if is_hidden(one)), None):
        return (
            f"{own} is a name of backout's own: leave out what begins with {PREFIX}, and the schemas {SCHEMA} and {HIDDEN_SCHEMA}. "
            "What is hidden is dropped by: backout db finalize."
        )
    return _REFUSED.get(statement.kind)


def _granted_on(statement: Statement) -> str:
    node = statement.node
    return str(node.DESCRIPTOR.fields_by_name["objtype"].enum_type.values_by_number[node.objtype].name)


def is_opaque(statement: Statement) -> bool:
    """Tell whether a statement can do more than its text says: it runs code that is somewhere else, or made on the way."""
    return statement.kind in ("do_stmt", "call_stmt", "execute_stmt", "select_stmt")


def tag_of(statement: Statement) -> str:
    """Return the command tag with which the plain server answers a statement that is softened."""
    if statement.kind == "drop_stmt":
        return _DROPS[object_of(statement)]
    return _TAGS[statement.kind]
