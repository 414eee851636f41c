"""The way back of the migrations that a release came with, as its code's way back needs to know it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from backout.document import Document
from backout.migration import MigrationRecord
from backout.migration_status import RowsSince


class Place(StrEnum):
    """When migrations are taken back, so that what runs works with the schema as far as that can be."""

    BEFORE = "before"
    """Before the earlier code starts: it needs it, and the later code can bear it."""
    AFTER = "after"
    """When no later code runs any more: it needs what is taken away, and the earlier code does without."""
    AROUND = "around"
    """Part of it before and part of it after: in between stands a schema that suits both."""
    BETWEEN = "between"
    """When the later code has stopped, and before the earlier code starts: no schema suits both."""


class Part(StrEnum):
    """Which changes of migrations are taken back, or made again."""

    ALL = "all"
    NEEDED = "needed"
    """Those that the earlier code cannot work with: they are taken back before it starts."""
    BORNE = "borne"
    """Those that the earlier code can work with: they wait until the later code has stopped."""


class Prepared(NamedTuple):
    """How far that is which a way back has to have built before it begins.

    Attributes:
        built: Statements that would drop what is built of it.
        missing: Statements that build the rest.
    """

    built: tuple[str, ...]
    missing: tuple[str, ...]


class MigrationsBack(Document):
    """The migrations that are to be taken back with a release's code, and whether and when they could be.

    Attributes:
        migrations: Oldest first; every later one of the database is among them.
        place: When.
        schema_after: Fingerprint of the schema that stands then; None: unknown.
        possible: `yes`, `no` or `unknown`: whether they could be taken back at this moment.
        why: Reasons for `no` or `unknown`.
        rows: Rows written since, as far as something is done about them.
        over_budget: What would hold the locks for longer than the lock budget, as it cannot be done before.
        builds: Statements that have to be run before, which takes a while and lets everybody work: keys come back by them.
    """

    migrations: tuple[MigrationRecord, ...]
    place: Place
    schema_after: str | None
    possible: str
    why: tuple[str, ...] = ()
    rows: tuple[RowsSince, ...] = ()
    over_budget: tuple[str, ...] = ()
    builds: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[int, ...]:
        """Their numbers, oldest first."""
        return tuple(one.id for one in self.migrations)
