"""One session of a database as the engine uses it: text in, text out, whoever else talks over the same session."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from backout.databases.postgres.reversible.names import literal

if TYPE_CHECKING:
    import psycopg

Row = dict[str, str | None]
_numbers = count()


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


class LinkLost(LinkError):
    """The session has ended: what was committed is there, what was open is not."""


class Table(NamedTuple):
    """What a statement returned.

    Attributes:
        columns: Name, oid of the type, and its modifier, of each.
        rows: Every value as PostgreSQL prints it.
    """

    columns: list[tuple[str, int, int]]
    rows: list[list[str | None]]


class Link(Protocol):
    """A session; whoever holds it decides about transactions."""

    def rows(self, query: str, values: Sequence[str] = (), *, again: bool = False) -> list[Row]:
        """Run one statement and return its rows by column name, every value as PostgreSQL prints it.

        Args:
            query: The statement.
            values: Of its parameters ($1, …), which only one that is asked again has.
            again: It will be asked often in these very words: the session may keep its plan.

        Raises:
            LinkError: The server refused it, or one that was put off.
        """
        ...

    def table(self, query: str) -> Table:
        """Run one statement and return its columns and rows.

        Raises:
            LinkError: The server refused it, or one that was put off.
        """
        ...

    def later(self, statement: str) -> None:
        """Run a statement of which nobody wants the rows, at the latest before the next one.

        A session that is told over a wire saves a way there and back.
        """
        ...


def objects(
    link: Link, query: str, values: Sequence[str] = (), *, again: bool = False
) -> list[dict[str, Any]]:
    """Return a query's rows with the types JSON has (numbers, booleans, lists)."""
    found = link.rows(
        f"SELECT coalesce(pg_catalog.json_agg(q), '[]')::pg_catalog.text AS found FROM ({query}) q",
        values,
        again=again,
    )
    return list(json.loads(found[0]["found"] or "[]"))


def scalar(link: Link, query: str, values: Sequence[str] = (), *, again: bool = False) -> str | None:
    """Return the first column of the only row, or None."""
    found = link.rows(query, values, again=again)
    return next(iter(found[0].values())) if found else None


@contextmanager
def as_login(link: Link) -> Iterator[None]:
    """Act as the role that logged in, whatever role the migration has set; put that back."""
    role = scalar(link, "SELECT pg_catalog.current_setting('role')", again=True) or "none"
    if role == "none":
        yield
        return
    link.rows("SELECT pg_catalog.set_config('role', 'none', true)")
    yield
    link.later(f"SELECT pg_catalog.set_config('role', {literal(role)}, true)")


class DirectLink:
    """A session of our own.

    Args:
        connection: In autocommit: transactions are begun and ended by statements, as everywhere in the engine.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self._kept: dict[str, str] = {}

    def rows(self, query: str, values: Sequence[str] = (), *, again: bool = False) -> list[Row]:
        """Run one statement.

        Hazard: psycopg forgets what it has prepared with every ALTER, DROP and ROLLBACK (3.3, `_preparing.py`).
        """
        if again:
            if query not in self._kept:
                name = f"_bo_link_{next(_numbers)}"
                self._run(f"PREPARE {name} AS {query}")
                self._kept[query] = name
            told = f"({', '.join(map(literal, values))})" if values else ""
            query = f"EXECUTE {self._kept[query]}{told}"
        found = self.table(query)
        names = [name for name, _type, _modifier in found.columns]
        return [dict(zip(names, row, strict=True)) for row in found.rows]

    def table(self, query: str) -> Table:
        """Run one statement and return its columns and rows."""
        from psycopg import pq

        result = self._run(query).pgresult
        if result is None or result.status != pq.ExecStatus.TUPLES_OK:
            return Table([], [])
        places = range(result.nfields)
        columns = [((result.fname(at) or b"").decode(), result.ftype(at), result.fmod(at)) for at in places]
        rows = [
            [value.decode() if (value := result.get_value(row, at)) is not None else None for at in places]
            for row in range(result.ntuples)
        ]
        return Table(columns, rows)

    def later(self, statement: str) -> None:
        """Run a statement of which nobody wants the rows."""
        self.rows(statement)

    def _run(self, query: str) -> psycopg.Cursor[Any]:
        from psycopg import Error

        try:
            return self.connection.execute(query.encode(), prepare=False)
        except Error as error:
            kind = LinkLost if self.connection.closed else LinkError
            raise kind(_fields(error)) from None


def _fields(error: psycopg.Error) -> dict[str, str]:
    told = error.diag
    found = {
        "C": error.sqlstate,
        "M": told.message_primary or str(error),
        "D": told.message_detail,
        "H": told.message_hint,
    }
    return {letter: text for letter, text in found.items() if text}
