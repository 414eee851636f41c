"""Every row of every table, as text that is the same whoever reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.generated.look import Look, Table, look
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.rows.digest import CANONICAL

if TYPE_CHECKING:
    import psycopg

Row = dict[str, str | None]
"""Values by column."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a database had at one moment.

    Attributes:
        look: Its tables.
        rows: Of each table, by its quoted name.
    """

    look: Look
    rows: dict[str, list[Row]]


def see(connection: psycopg.Connection[Any]) -> Seen:
    """Read every row of every table in one transaction; what backout has hidden is left out.

    Args:
        connection: In autocommit, as a role that policies hide no row from: else it is an error.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        tables = look(connection)
        for name, value in CANONICAL.items():
            connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        return Seen(tables, {one.path: _rows(connection, one) for one in tables.tables.values()})


def _rows(connection: psycopg.Connection[Any], table: Table) -> list[Row]:
    names = [c.name for c in table.columns]
    if not names:
        count = connection.execute(f"SELECT count(*) FROM {table.own}".encode()).fetchone()
        return [{} for _ in range(count[0] if count else 0)]
    listed = ", ".join(f"{ident(name)}::text" for name in names)
    found = connection.execute(f"SELECT {listed} FROM {table.own}".encode()).fetchall()
    return [dict(zip(names, row, strict=True)) for row in found]
