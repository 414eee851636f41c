"""Reads a schema as `model.py` has it: the catalogs, and pg_dump for the SQL that makes each thing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backout.databases.postgres.connect import DOCTOR, Connector
from backout.databases.postgres.inverse import queries
from backout.databases.postgres.inverse.dump import Entry, read_entries
from backout.databases.postgres.inverse.model import (
    CONSTRAINT,
    RELATION,
    Address,
    Catalog,
    Column,
    Comment,
    Grant,
    Thing,
)
from backout.databases.postgres.reversible.fingerprint import Print, printed_alike, read_print
from backout.databases.postgres.reversible.link import DirectLink, Link, objects
from backout.errors import ConfigError, CredentialsRefused, TargetUnreachable
from backout.redact import Redactor

_WAIT_S = 30.0
_WHERE = "The database's URL (--database, else DATABASE_URL)"
_REACHED_BY = "backout db status --database postgresql://USER@HOST/NAME   # or set DATABASE_URL, or PGHOST and the others"
_STATEMENT_S = 600.0
_FACTS = {
    queries.TABLES: RELATION,
    queries.SEQUENCES: RELATION,
    queries.INDEXES: RELATION,
    queries.CONSTRAINTS: CONSTRAINT,
    queries.TRIGGERS: 2620,
    queries.FUNCTIONS: 1255,
    queries.TYPES: 1247,
}
_INLINE = 0.5
"""A CHECK is made with its table: its place is behind it."""


def connector_of(url: str, redactor: Redactor | None = None) -> Connector:
    """Return the way to a database."""
    return Connector(url, redactor or Redactor(), _WAIT_S, _STATEMENT_S, _WAIT_S, setting=_WHERE)


@contextmanager
def linked(connector: Connector) -> Iterator[DirectLink]:
    """Open a session in autocommit; where that fails, what is to be typed next needs no configuration of backout."""
    try:
        with connector.session(_STATEMENT_S, autocommit=True) as connection:
            yield DirectLink(connection)
    except (ConfigError, TargetUnreachable, CredentialsRefused) as error:
        if error.next_command != DOCTOR:
            raise
        raise type(error)(error.what, state=error.state, next_command=_REACHED_BY) from None


def read_catalog(connector: Connector) -> Catalog:
    """Read the schema of a database in which nobody changes anything meanwhile.

    Raises:
        NotPossible: pg_dump is not there, or failed.
        TargetUnreachable: The database does not answer.
    """
    with linked(connector) as link:
        entries = read_entries(connector, link.connection.info.server_version)
        with _reading(link):
            return _read(link, entries)


def read_fingerprint(connector: Connector) -> Print:
    """Read the fingerprint of a database."""
    with linked(connector) as link, _in_transaction(link):
        return read_print(link)


@contextmanager
def _in_transaction(link: Link) -> Iterator[None]:
    link.rows("BEGIN ISOLATION LEVEL REPEATABLE READ")
    try:
        yield
    finally:
        link.rows("ROLLBACK")


@contextmanager
def _reading(link: Link) -> Iterator[None]:
    with _in_transaction(link), printed_alike(link):
        yield


def _read(link: Link, entries: list[Entry]) -> Catalog:
    facts: dict[Address, dict[str, Any]] = {}
    for query, catalog in _FACTS.items():
        for row in objects(link, query):
            facts.setdefault((catalog, row["oid"], 0), {}).update(row)
    things = _things(link, entries, facts)
    usual = {
        (row["role"], row["letter"]): _grants(json.loads(row["grants"]))
        for row in objects(link, queries.USUAL_GRANTS)
    }
    columns = {}
    for row in objects(link, queries.COLUMNS):
        at = (RELATION, row["table"], row["number"])
        columns[at] = Column(at, row["name"], row, _grants(row["grants"]))
    return Catalog(
        things=things,
        columns=columns,
        needs=_needs(link),
        comments={
            (row["class"], row["oid"], row["sub"]): Comment(row["kind"], _identity(row), row["text"])
            for row in objects(link, queries.COMMENTS)
            if row["identity"]
        },
        default_grants=_default_grants(link, usual),
        usual_grants=usual,
        casts={(row["source"], row["target"]): row["context"] for row in objects(link, queries.CASTS)},
        schemas={row["oid"]: row["name"] for row in objects(link, queries.SCHEMAS)},
    )


def _things(link: Link, entries: list[Entry], facts: dict[Address, dict[str, Any]]) -> dict[Address, Thing]:
    made = {(one.catalog, one.oid, 0): (float(at), one) for at, one in enumerate(entries) if one.catalog}
    found = {}
    for row in objects(link, queries.THINGS):
        at = (row["class"], row["oid"], 0)
        known = facts.get(at, {})
        order, entry = made.get(at, (-1.0, None))
        if entry is None:
            table = made.get((RELATION, row["table"] or 0, 0))
            order = table[0] + _INLINE if table else -1.0
        found[at] = Thing(
            at=at,
            kind=row["kind"],
            identity=_identity(row),
            name=row["name"],
            schema=row["schema"] or 0,
            table=row["table"] or 0,
            order=order,
            text=_text(row, known, entry),
            owner=row["owner"],
            grants=None if row["grants"] is None else _grants(row["grants"]),
            facts=known,
        )
    return found


def _identity(row: dict[str, Any]) -> str:
    """Return what SQL knows a thing by; an aggregate of all rows is printed as if it took nothing."""
    identity = str(row["identity"])
    return f"{identity[:-2]}(*)" if row["kind"] == "aggregate" and identity.endswith("()") else identity


def _text(row: dict[str, Any], known: dict[str, Any], entry: Entry | None) -> str:
    if entry is not None:
        return entry.text
    return str(known.get("definition", "")) if row["class"] == CONSTRAINT else ""


def _grants(told: list[list[Any]]) -> frozenset[Grant]:
    return frozenset((one[0], one[1], one[2], one[3]) for one in told or ())


def _needs(link: Link) -> frozenset[tuple[Address, Address, str]]:
    alias = {
        (row["class"], row["oid"], row["sub"]): (row["to_class"], row["to_oid"], row["to_sub"])
        for row in objects(link, queries.ALIASES)
    }

    def real(at: Address) -> Address:
        for _ in range(8):
            if at in alias:
                at = alias[at]
            elif (whole := (at[0], at[1], 0)) in alias and at[2]:
                at = alias[whole]
            else:
                break
        return at

    found = set()
    for row in objects(link, queries.NEEDS):
        one = real((row["class"], row["oid"], row["sub"]))
        needed = real((row["to_class"], row["to_oid"], row["to_sub"]))
        if one[:2] != needed[:2]:
            found.add((one, needed, row["how"]))
    return frozenset(found)


def _default_grants(
    link: Link, usual: dict[tuple[str, str], frozenset[Grant]]
) -> dict[tuple[str, str, str], frozenset[Grant]]:
    told = {
        (row["role"], row["schema"], row["letter"]): _grants(row["grants"])
        for row in objects(link, queries.DEFAULT_GRANTS)
    }
    return {
        (role, schema, letter): grants
        for (role, schema, letter), grants in told.items()
        if schema or grants != usual.get((role, letter))
    }
