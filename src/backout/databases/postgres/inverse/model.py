"""A schema as whoever writes its inverse has to know it: things by address, with the SQL that makes each. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Address = tuple[int, int, int]
"""Catalog, oid, and number of a column or 0."""

TYPE, FUNCTION, RELATION = 1247, 1255, 1259
DEFAULT, CONSTRAINT, SCHEMA = 2604, 2606, 2615
RULE, TRIGGER, EXTENSION, POLICY = 2618, 2620, 3079, 3256
"""Catalogs by their oids, which are the same everywhere. Source: PostgreSQL 15 source, include/catalog."""

TABLES = ("table", "foreign table")
HOLDS_ROWS = ("table", "sequence")

Grant = tuple[str, str, str, bool]
"""Grantor, grantee (empty: PUBLIC), privilege, and whether it may be given on."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing of a schema.

    Attributes:
        at: Its address.
        kind: What SQL calls it, as `pg_identify_object` tells it.
        identity: What `DROP kind identity` takes.
        name: Without what it is in; empty where it has none.
        schema: Oid of the schema that it is in, or 0.
        table: Oid of the table that it is of, or 0.
        order: Place among all things when a schema is made.
        text: The statements that make it, without owner, privileges and comment.
        owner: None: such things have none.
        grants: None: such things have none.
        facts: What is to be known of its kind besides.
    """

    at: Address
    kind: str
    identity: str
    name: str
    schema: int
    table: int
    order: float
    text: str
    owner: str | None
    grants: frozenset[Grant] | None
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table or view."""

    at: Address
    name: str
    facts: dict[str, Any]
    grants: frozenset[Grant]

    @property
    def type(self) -> str:
        """Its type with its modifier, as SQL takes it."""
        return str(self.facts["type"])


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment, and what it is on, as `COMMENT ON kind identity` takes it."""

    kind: str
    identity: str
    text: str


@dataclass(frozen=True)
class Catalog:
    """A schema.

    Attributes:
        things: All but columns, by address.
        columns: By address.
        needs: What each address needs to be there: pairs of the one that needs and the needed, with the letter of `pg_depend`.
        comments: By address.
        default_grants: What new things get, by role, schema (empty: all) and letter of their kind.
        usual_grants: What they get where nobody says otherwise, by role and letter.
        casts: Which type becomes which other one by assignment or by an explicit cast, by oids.
        schemas: Names by oid.
    """

    things: dict[Address, Thing]
    columns: dict[Address, Column]
    needs: frozenset[tuple[Address, Address, str]]
    comments: dict[Address, Comment]
    default_grants: dict[tuple[str, str, str], frozenset[Grant]]
    usual_grants: dict[tuple[str, str], frozenset[Grant]]
    casts: dict[tuple[int, int], str]
    schemas: dict[int, str]

    @cached_property
    def needed_by(self) -> dict[Address, list[tuple[Address, str]]]:
        """Who needs an address, and how."""
        found: dict[Address, list[tuple[Address, str]]] = {}
        for one, needed, how in self.needs:
            found.setdefault(needed, []).append((one, how))
        return found

    @cached_property
    def columns_of(self) -> dict[int, list[Column]]:
        """Columns by the oid of their table, in their order."""
        found: dict[int, list[Column]] = {}
        for at in sorted(self.columns):
            found.setdefault(at[1], []).append(self.columns[at])
        return found

    def table(self, oid: int) -> Thing | None:
        """Return the table or view of that oid."""
        return self.things.get((RELATION, oid, 0))


@dataclass(slots=True)
class Script:
    """Statements with their places, to be put in order.

    Attributes:
        before: What has to go first, by descending place in the schema as it is.
        main: What is made or changed, by ascending place in the schema as it was.
        last: What can go only then, by descending place in the schema as it is.
    """

    before: list[tuple[float, str]] = field(default_factory=list)
    main: list[tuple[float, str]] = field(default_factory=list)
    last: list[tuple[float, str]] = field(default_factory=list)

    def statements(self) -> list[str]:
        """Return them in order, each once."""
        ordered = [
            *sorted(self.before, key=lambda one: -one[0]),
            *sorted(self.main, key=lambda one: one[0]),
            *sorted(self.last, key=lambda one: -one[0]),
        ]
        return list(dict.fromkeys(statement for _, statement in ordered))
