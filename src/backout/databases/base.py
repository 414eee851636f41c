"""What a database is to a code rollback: a schema, a counter of writes, a means to refuse them, queries for checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pydantic import BaseModel

    from backout.holds.base import HoldMeans
    from backout.platforms.base import Detection, Diagnosis, Site
    from backout.schema import Schema


class Database(Protocol):
    """One database, bound to one service in one environment.

    Every connection has `application_name`, `lock_timeout` and `statement_timeout`; nothing here needs a
    superuser. All raise `TargetUnreachable` or `CredentialsRefused`.
    """

    kind: ClassVar[str]
    Options: ClassVar[type[BaseModel]]

    @classmethod
    def create(cls, options: BaseModel, site: Site) -> Database:
        """Bind the database; does not connect."""
        ...

    @classmethod
    def detect(cls, directory: Path) -> Detection | None:
        """Look for this database's settings; changes nothing, keeps no secret."""
        ...

    def schema(self, deadline_s: float) -> Schema:
        """Read the schema in one read-only snapshot."""
        ...

    def write_count(self, deadline_s: float) -> int:
        """Return the rows written in this database since its statistics began (only differences mean anything)."""
        ...

    def writers(self, deadline_s: float) -> tuple[str, ...]:
        """Name who has written in a transaction that is still open; `write_count` lacks its rows."""
        ...

    def scalar(self, query: str, deadline_s: float) -> object:
        """Return the first column of the first row, read-only, or None."""
        ...

    def hold_means(self) -> HoldMeans:
        """Return the means that refuses writes."""
        ...

    def doctor(self) -> Iterable[Diagnosis]:
        """Try what a rollback would need, touching nothing."""
        ...
