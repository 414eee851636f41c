"""The client's own session as the keeper uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backout.databases.postgres.reversible.link import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backout.databases.postgres.reversible.link import Row
    from backout.databases.postgres.reversible.proxy.session import Session


class SessionLink:
    """Asks over a session what its client shall not notice."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def rows(self, query: str, values: Sequence[str] = (), *, again: bool = False) -> list[Row]:
        """Run one statement and return its rows by column name, every value as PostgreSQL prints it.

        Raises:
            LinkError: The server refused it, or one that was put off.
        """
        answer = self._session.ask(query, values, quiet=True, again=again)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    def table(self, query: str) -> Table:
        """Run one statement and return its columns and rows.

        Raises:
            LinkError: The server refused it, or one that was put off.
        """
        answer = self._session.ask(query, quiet=True)
        columns = [(name, *told) for name, told in zip(answer.columns, answer.types, strict=True)]
        return Table(columns, answer.rows)

    def later(self, statement: str) -> None:
        """Put off a statement until the next is run, or the keeper has answered."""
        self._session.later(statement)
