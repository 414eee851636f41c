"""Histories that are files of SQL: of Prisma, of Drizzle, and plain ones."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.corpus.history import History, Step
from tests.corpus.installing import from_npm, from_pypi

_PRISMA = """CREATE TABLE _prisma_migrations (id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL,
  finished_at TIMESTAMPTZ, migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)"""
_DRIZZLE = (
    "CREATE SCHEMA IF NOT EXISTS drizzle",
    "CREATE TABLE IF NOT EXISTS drizzle.__drizzle_migrations (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint)",
)
_PLAIN = (
    "CREATE TABLE IF NOT EXISTS applied_migrations (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())",
)


@dataclass(frozen=True, slots=True)
class Files:
    """A package whose history is files of SQL.

    Attributes:
        package: Its name.
        version: Pinned.
        folder: Of the history, in the package.
        tool: `prisma`, `drizzle` or `plain`.
        registry: `npm` or `pypi`.
        names: What a file says for the names of the installation, and what it stands for.
        before: Statements that the project's own set-up runs first.
        alone: As of `from_pypi`.
    """

    package: str
    version: str
    folder: str
    tool: str
    registry: str = "npm"
    names: dict[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    alone: bool = False

    @property
    def name(self) -> str:
        return self.package

    def history(self) -> History:
        """Bring the package, and read its files."""
        folder = self._brought() / self.folder
        first, steps = _READ[self.tool](folder, self._text)
        return History(self.package, self.package, self.version, self.tool, steps, (*first, *self.before))

    def _brought(self) -> Path:
        if self.registry == "npm":
            return from_npm(self.package, self.version)
        interpreter = from_pypi(self.package, self.version, alone=self.alone)
        return next((interpreter.parent.parent / "lib").glob("python*")) / "site-packages"

    def _text(self, file: Path) -> str:
        text = file.read_text()
        for name, stands_for in self.names.items():
            text = text.replace(name, stands_for)
        return text


def _prisma(folder: Path, read: Callable[[Path], str]) -> tuple[tuple[str, ...], list[Step]]:
    """Read files as Prisma's engine applies them: each whole file in one message, between the rows of its own table.

    Source: prisma-engines 6, schema-engine/commands/src/commands/apply_migrations.rs.
    """
    return (_PRISMA,), [
        prisma_step(one.parent.name, read(one)) for one in sorted(folder.glob("*/migration.sql"))
    ]


def prisma_step(name: str, script: str) -> Step:
    """Return a file of Prisma as a step."""
    number = uuid.uuid5(uuid.NAMESPACE_URL, name)
    checksum = hashlib.sha256(script.encode()).hexdigest()
    begun = f"INSERT INTO _prisma_migrations (id, checksum, logs, started_at, migration_name) VALUES ('{number}', '{checksum}', '', now(), '{name}')"
    counted = (
        f"UPDATE _prisma_migrations SET applied_steps_count = applied_steps_count + 1 WHERE id = '{number}'"
    )
    ended = f"UPDATE _prisma_migrations SET finished_at = now() WHERE id = '{number}'"
    return Step(name, (begun, script, counted, ended))


def _drizzle(folder: Path, read: Callable[[Path], str]) -> tuple[tuple[str, ...], list[Step]]:
    """Read files as drizzle-orm's `migrate` applies them: statement by statement, in one transaction with its own row.

    Source: drizzle-orm 0.44, migrator.js and pg-core/dialect.js.
    """
    entries = json.loads((folder / "meta/_journal.json").read_text())["entries"]
    return _DRIZZLE, [
        drizzle_step(one["tag"], read(folder / f"{one['tag']}.sql"), one["when"]) for one in entries
    ]


def drizzle_step(name: str, script: str, when: int) -> Step:
    """Return a file of Drizzle as a step."""
    digest = hashlib.sha256(script.encode()).hexdigest()
    row = f"INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('{digest}', {when})"
    return Step(name, (*script.split("--> statement-breakpoint"), row), together=True)


def _plain(folder: Path, read: Callable[[Path], str]) -> tuple[tuple[str, ...], list[Step]]:
    """Read files that each are one transaction, as `psql -1` and most programs of an application's own run them."""
    return _PLAIN, [plain_step(one.stem, read(one)) for one in sorted(folder.glob("*.sql"))]


def plain_step(name: str, script: str) -> Step:
    """Return a file as a step."""
    row = f"INSERT INTO applied_migrations (name) VALUES ('{name}')"
    return Step(name, (script, row), together=True)


_READ = {"prisma": _prisma, "drizzle": _drizzle, "plain": _plain}
