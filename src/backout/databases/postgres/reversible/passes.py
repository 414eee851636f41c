"""An ALTER TABLE taken apart into those that are softened each in its own way. Pure.

PostgreSQL goes over the commands of one in passes: all that drop something come first, as they are written, then the changes of
types, then the others. Source: PostgreSQL 15, src/backend/commands/tablecmds.c, ATPrepCmd.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from backout.databases.postgres.reversible.parse import Statement, deparse

DROP_COLUMN, DROP_IDENTITY, _DROP_CONSTRAINT = "AT_DropColumn", "AT_DropIdentity", "AT_DropConstraint"
_FIRST = (DROP_COLUMN, _DROP_CONSTRAINT, "AT_DropNotNull", DROP_IDENTITY)
_SOFTENED = (DROP_COLUMN, "AT_AlterColumnType", DROP_IDENTITY)


def parts_of(statement: Statement) -> list[Statement]:
    """Return what a statement does, one after the other, as PostgreSQL does; most have one part, themselves."""
    if statement.kind != "alter_table_stmt":
        return [statement]
    commands = list(statement.node.cmds)
    softened = {subtype(one) for one in commands} & set(_SOFTENED)
    if len(commands) == 1 or not softened or softened == {"AT_AlterColumnType"}:
        return [statement]
    first = [one for one in commands if subtype(one) in _FIRST]
    rest = [one for one in commands if subtype(one) not in _FIRST]
    # One after the other, but columns together: one may be what another is made of.
    groups = [list(group) for _kind, group in groupby(first, subtype)]
    return [_with(statement, group) for group in [*groups, rest] if group]


def subtype(command: Any) -> str:
    """Return the parser's name of a command of an ALTER TABLE."""
    one = command.alter_table_cmd
    return str(one.DESCRIPTOR.fields_by_name["subtype"].enum_type.values_by_number[one.subtype].name)


def drops_identity(statement: Statement) -> bool:
    """Tell whether an ALTER TABLE takes its numbering from a column."""
    return statement.kind == "alter_table_stmt" and any(
        subtype(one) == DROP_IDENTITY for one in statement.node.cmds
    )


def adds_column(statement: Statement) -> bool:
    """Tell whether an ALTER TABLE makes a column."""
    return statement.kind == "alter_table_stmt" and any(
        subtype(one) == "AT_AddColumn" for one in statement.node.cmds
    )


def detaches(statement: Statement) -> bool:
    """Tell whether an ALTER TABLE detaches a partition, which it does alone."""
    return statement.kind == "alter_table_stmt" and any(
        subtype(one) == "AT_DetachPartition" for one in statement.node.cmds
    )


def detaches_beside(statement: Statement) -> bool:
    """Tell whether an ALTER TABLE detaches a partition CONCURRENTLY, or ends doing so."""
    return statement.kind == "alter_table_stmt" and any(
        subtype(one) == "AT_DetachPartitionFinalize"
        or (
            subtype(one) == "AT_DetachPartition"
            and getattr(one.alter_table_cmd, "def").partition_cmd.concurrent
        )
        for one in statement.node.cmds
    )


def dropped_constraints(statement: Statement) -> set[str]:
    """Return the names of the constraints that an ALTER TABLE says to drop."""
    if statement.kind != "alter_table_stmt":
        return set()
    return {str(one.alter_table_cmd.name) for one in statement.node.cmds if subtype(one) == _DROP_CONSTRAINT}


def _with(statement: Statement, commands: list[Any]) -> Statement:
    node = type(statement.node)()
    node.CopyFrom(statement.node)
    del node.cmds[:]
    node.cmds.extend(commands)
    return Statement(deparse("alter_table_stmt", node), statement.kind, node, statement.at)
