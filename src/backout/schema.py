"""A database schema as data: what can be compared without a database."""

from __future__ import annotations

from functools import cached_property

from pydantic import ConfigDict

from backout.document import Document, digest_of


class Column(Document):
    """One column of a table, as PostgreSQL would print it."""

    type: str
    nullable: bool
    default: str | None = None
    generated: str | None = None
    identity: str | None = None
    collation: str | None = None


class Table(Document):
    """One table: columns by name, and the text definition of everything that hangs on it.

    Attributes:
        kind: `table`, `partitioned`, `view`, `materialized view` or `foreign table`.
        columns: By name; the order of columns does not count.
        constraints: Name to `pg_get_constraintdef`.
        indexes: Name to `pg_get_indexdef`, without those that back a constraint.
        triggers: Name to `pg_get_triggerdef`.
        policies: Row-level security policies by name, and its switches under ``""``.
        definition: A view's query.
    """

    kind: str
    columns: dict[str, Column] = {}
    constraints: dict[str, str] = {}
    indexes: dict[str, str] = {}
    triggers: dict[str, str] = {}
    policies: dict[str, str] = {}
    definition: str | None = None


class Schema(Document):
    """Every object of a database that an application can notice.

    Attributes:
        tables: ``schema.table`` to its `Table`.
        objects: ``kind schema.name`` to a definition: enums, domains, functions, sequences, extensions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,), defer_build=True)

    tables: dict[str, Table] = {}
    objects: dict[str, str] = {}

    @cached_property
    def fingerprint(self) -> str:
        """``sha256:…`` of the canonical document: equal exactly if nothing an application sees differs."""
        return digest_of(self.model_dump(mode="json"))
