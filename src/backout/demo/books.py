"""Tables beside the reports whose every value is known, so that the demo can tell what became of them."""

from __future__ import annotations

from typing import Any, LiteralString

_MADE: tuple[LiteralString, ...] = (
    "CREATE TABLE tenants (name text PRIMARY KEY, plan text, seats int NOT NULL, closed boolean NOT NULL DEFAULT false, contact text)",
    "INSERT INTO tenants SELECT 'tenant ' || n, CASE WHEN n % 3 > 0 THEN 'pro' END, n, n % 10 = 0, 'Kim No' || n FROM generate_series(1, 300) n",
    "CREATE TABLE exports (id int PRIMARY KEY, body text NOT NULL)",
    "INSERT INTO exports SELECT n, repeat('x', n % 50) FROM generate_series(1, 1000) n",
)
_WRITTEN: tuple[LiteralString, ...] = (
    "UPDATE tenants SET seats = 7777 WHERE name = 'tenant 7'",
    "INSERT INTO tenants (name, plan, seats, contact_first, contact_last) VALUES ('newcomer', 'pro', 3, 'Ada', 'King')",
    "UPDATE tenants SET contact_last = 'Park' WHERE name = 'tenant 9'",
    "DELETE FROM tenants WHERE name = 'tenant 8'",
)
_TENANTS: LiteralString = "SELECT name, plan, seats::bigint, closed, contact FROM tenants"
_AHEAD: LiteralString = (
    "SELECT name, plan, seats, closed, concat_ws(' ', contact_first, contact_last) FROM tenants"
)
_EXPORTS: LiteralString = "SELECT id::text, body FROM exports"

Book = dict[str, tuple[Any, ...]]


class Books:
    """The tables, and what has to be in them.

    Args:
        url: The database, as its owner.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._tenants: Book = {}
        self._exports: Book = {}

    def begin(self) -> None:
        """Make and fill the tables, and note their values."""
        self._run(_MADE)
        self._tenants, self._exports = self._read(_TENANTS), self._read(_EXPORTS)

    def write(self) -> None:
        """Write as people do under the later release: change, add and remove a row."""
        self._run(_WRITTEN)
        self._tenants["tenant 7"] = (*self._tenants["tenant 7"][:1], 7777, *self._tenants["tenant 7"][2:])
        self._tenants["tenant 9"] = (*self._tenants["tenant 9"][:3], "Kim Park")
        self._tenants["newcomer"] = ("pro", 3, False, "Ada King")
        del self._tenants["tenant 8"]

    def lost(self) -> dict[str, int]:
        """Return how many rows are not there, and how many values are others, on the earlier schema."""
        found = {"tenants": self._read(_TENANTS), "exports": self._read(_EXPORTS)}
        wanted = {"tenants": self._tenants, "exports": self._exports}
        missing = sum(len(book.keys() ^ found[name].keys()) for name, book in wanted.items())
        other = sum(
            value != found[name][key][place]
            for name, book in wanted.items()
            for key, values in book.items()
            if key in found[name]
            for place, value in enumerate(values)
        )
        return {"rows": missing, "values": other}

    def lost_ahead(self) -> int:
        """Return how many tenants are not as they have to be on the later schema, where closed ones are gone."""
        found = self._read(_AHEAD)
        wanted = {
            name: (plan or "basic", seats, closed, contact)
            for name, (plan, seats, closed, contact) in self._tenants.items()
            if not closed
        }
        return sum(found.get(name) != wanted.get(name) for name in found.keys() | wanted.keys())

    def _read(self, query: LiteralString) -> Book:
        import psycopg

        with psycopg.connect(self._url, connect_timeout=5) as connection:
            return {str(row[0]): tuple(row[1:]) for row in connection.execute(query).fetchall()}

    def _run(self, statements: tuple[LiteralString, ...]) -> None:
        import psycopg

        with psycopg.connect(self._url, connect_timeout=5) as connection:
            for statement in statements:
                connection.execute(statement)
