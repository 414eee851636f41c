"""The fingerprint: everything in a database's schemas that the way back must bring back, as names and texts.

Other than `catalog.py`, which tells what an application can notice and whose fingerprints are recorded in the field,
this tells owners, privileges, comments and storage too, and leaves out what the engine hid.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from pydantic import ConfigDict

from backout.databases.postgres.reversible.link import Link
from backout.databases.postgres.reversible.prints import database, operators, parts, tables, types
from backout.document import Document, digest_of
from backout.message import Message, msg

_SAVEPOINT = "_bo_print"

# What decides how PostgreSQL prints names and constants, for whoever had set it otherwise. Without `pg_temp` at the
# end, temporary tables named as a catalog would be read in its place.
_SETTINGS = {
    "search_path": "pg_catalog, pg_temp",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmlbinary": "base64",
    "jit": "off",
}

_QUERIES = (
    tables.SCHEMAS,
    tables.TABLES,
    tables.SEQUENCES,
    parts.CONSTRAINTS,
    parts.INDEXES,
    parts.TRIGGERS,
    parts.RULES,
    parts.POLICIES,
    parts.STATISTICS,
    types.TYPES,
    types.FUNCTIONS,
    operators.CASTS,
    operators.OPERATORS,
    operators.OPERATOR_CLASSES,
    operators.OPERATOR_FAMILIES,
    operators.COLLATIONS,
    operators.TEXT_SEARCH,
    database.EXTENSIONS,
    database.EVENT_TRIGGERS,
    database.PUBLICATIONS,
    database.PUBLISHED,
    database.FOREIGN,
    database.DEFAULT_PRIVILEGES,
)


class Print(Document):
    """A database's schemas at one moment.

    Attributes:
        things: Kind and name (``column public.orders.total``) to a definition. Two prints can be compared if they are
            of the same major version of PostgreSQL.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,), defer_build=True)

    things: dict[str, str]

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` of the document: equal exactly if nothing differs."""
        return digest_of(self.things)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was.

    Attributes:
        name: Kind and name.
        before: Its definition, or None: it was not there.
        after: Its definition, or None: it is gone.
    """

    name: str
    before: str | None
    after: str | None

    @property
    def message(self) -> Message:
        """The difference as a sentence for people."""
        if self.before is None:
            return msg("{name} was not there before: {after}", name=self.name, after=self.after)
        if self.after is None:
            return msg("{name} is gone; it was: {before}", name=self.name, before=self.before)
        return msg(
            "{name} was: {before}; it is now: {after}", name=self.name, before=self.before, after=self.after
        )

    def __str__(self) -> str:
        return str(self.message)


def read_print(link: Link, *, strict_order: bool = False) -> Print:
    """Read the fingerprint in the transaction that is open: REPEATABLE READ, if it is to be of one moment.

    Nothing of the transaction is changed, not even by an error: settings and locks of the reading go with a savepoint.
    Hazard: definitions that `pg_get_*` print are of the last commit, not of the transaction's snapshot, so they may be
    newer than the rest while somebody else runs DDL.

    Args:
        link: In a transaction.
        strict_order: Whether the order of a table's visible columns counts.

    Raises:
        LinkError: The server refused a query; 25P01 if no transaction is open.
    """
    with printed_alike(link):
        return _print(_things(link, *_QUERIES), _columns(link, strict_order=strict_order))


def read_digests(link: Link) -> str:
    """Return the digests of the fingerprint, without and with the order of columns, with a space between; as `read_print`."""
    with printed_alike(link):
        things = _things(link, *_QUERIES)
        both = [_print(things, _columns(link, strict_order=strict)).digest for strict in (False, True)]
    return " ".join(both)


def _columns(link: Link, *, strict_order: bool) -> dict[str, str]:
    return _things(link, tables.COLUMNS.format(position=tables.POSITION if strict_order else "NULL"))


def _things(link: Link, *queries: str) -> dict[str, str]:
    return {row["name"] or "": row["definition"] or "" for query in queries for row in link.rows(query)}


def _print(things: dict[str, str], columns: dict[str, str]) -> Print:
    return Print(things=dict(sorted((things | columns).items())))


def differences(before: Print, after: Print) -> list[Difference]:
    """Return what was added, is gone or was changed, by name."""
    names = sorted(before.things.keys() | after.things.keys())
    found = (Difference(name, before.things.get(name), after.things.get(name)) for name in names)
    return [difference for difference in found if difference.before != difference.after]


@contextmanager
def printed_alike(link: Link) -> Iterator[None]:
    """Have names and values printed in one way, whatever the session set, within the transaction that is open.

    Ends by rolling back to where it began: for reading only.

    Raises:
        LinkError: 25P01 if no transaction is open.
    """
    link.rows(f"SAVEPOINT {_SAVEPOINT}")
    try:
        link.rows(
            "SELECT "
            + ", ".join(
                f"pg_catalog.set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items()
            )
        )
        yield
    finally:
        # Gives back every setting exactly, and the locks that views' definitions took.
        link.rows(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        link.rows(f"RELEASE SAVEPOINT {_SAVEPOINT}")
