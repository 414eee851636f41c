"""One session of a database as the engine uses it: text in, text out, whoever else talks over the same session."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import psycopg

Row = dict[str, str | None]


class LinkError(Exception):
    """The server refused a statement.

    Attributes:
        sqlstate: Five characters. Source: PostgreSQL 15 documentation, appendix A.
        fields: What the server said, by the letter of the protocol: `M` message, `D` detail, `H` hint, and others.
    """

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(fields.get("M", "unknown error"))
        self.fields = fields
        self.sqlstate = fields.get("C", "XX000")


class Link(Protocol):
    """A session; whoever holds it decides about transactions."""

    def rows(self, query: str, *, again: bool = False) -> list[Row]:
        """Run one statement and return its rows by column name, every value as PostgreSQL prints it.

        Args:
            query: The statement.
            again: It will be asked often, and a session of our own may keep its plan.

        Raises:
            LinkError: The server refused it.
        """
        ...


def objects(link: Link, query: str) -> list[dict[str, Any]]:
    """Return a query's rows with the types JSON has (numbers, booleans, lists)."""
    found = link.rows(
        f"SELECT coalesce(pg_catalog.json_agg(q), '[]')::pg_catalog.text AS found FROM ({query}) q"
    )
    return list(json.loads(found[0]["found"] or "[]"))


def scalar(link: Link, query: str) -> str | None:
    """Return the first column of the only row, or None."""
    found = link.rows(query)
    return next(iter(found[0].values())) if found else None


class DirectLink:
    """A session of our own.

    Args:
        connection: In autocommit: transactions are begun and ended by statements, as everywhere in the engine.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def rows(self, query: str, *, again: bool = False) -> list[Row]:
        """Run one statement."""
        from psycopg import Error, pq

        try:
            cursor = self.connection.execute(query.encode(), prepare=again or None)
        except Error as error:
            raise LinkError(_fields(error)) from None
        result = cursor.pgresult
        if result is None or result.status != pq.ExecStatus.TUPLES_OK:
            return []
        names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
        return [
            {
                name: value.decode() if (value := result.get_value(row, column)) is not None else None
                for column, name in enumerate(names)
            }
            for row in range(result.ntuples)
        ]


def _fields(error: psycopg.Error) -> dict[str, str]:
    told = error.diag
    found = {
        "C": error.sqlstate,
        "M": told.message_primary or str(error),
        "D": told.message_detail,
        "H": told.message_hint,
    }
    return {letter: text for letter, text in found.items() if text}
