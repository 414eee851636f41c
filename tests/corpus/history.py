"""What a migration history is, wherever it comes from: steps in their order, and who runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

HISTORY_TABLES = frozenset(
    {
        "alembic_version",
        "_prisma_migrations",
        "__drizzle_migrations",
        "mikro_orm_migrations",
        "typeorm_migrations",
        "migrations",
        "applied_migrations",
    }
)
"""Where tools write down what they have applied: no code of an application reads or writes it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One migration.

    Attributes:
        name: Of the file or revision.
        up: Texts that are sent one after the other, each in one message of the simple protocol, with what the tool writes
            into its own history; None: the history's driver knows.
        together: All of `up` is one transaction; else each text is what PostgreSQL makes of it.
        down: The project's own way back, in the same form; empty: the project has none.
        has_down: The project has a way back, which its driver knows.
        why_not: The harness cannot run it, and why; it counts as refused.
    """

    name: str
    up: tuple[str, ...] | None = None
    together: bool = False
    down: tuple[str, ...] = ()
    has_down: bool = False
    why_not: str | None = None

    @property
    def goes_back(self) -> bool:
        """Whether the project wrote a way back."""
        return self.has_down or bool(self.down)


class Driver(Protocol):
    """Runs steps; made anew for each run of a history."""

    def argv(self, step: Step, direction: str) -> list[str]:
        """Return the command that runs a step `up` or `down` in the database that DATABASE_URL names."""

    def close(self) -> None:
        """End what runs. Idempotent."""


@dataclass(frozen=True, slots=True)
class History:
    """The migrations of one project, oldest first.

    Attributes:
        name: Of the project.
        package: In its registry.
        version: Pinned.
        tool: `alembic`, `prisma`, `drizzle`, `plain`, `mikroorm` or `pairs`.
        steps: In the order in which they are applied.
        before: Statements that are run first, plainly: what the project's own set-up makes, and extensions.
        driver: Runs steps that have no text; None: they all have.
    """

    name: str
    package: str
    version: str
    tool: str
    steps: Sequence[Step]
    before: tuple[str, ...] = ()
    driver: Driver | None = field(default=None, compare=False)
