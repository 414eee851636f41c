"""Histories of drizzle-kit in several of its versions, each as drizzle-orm's migrator sends it."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from tests.corpus.drizzle_project import Project, project
from tests.corpus.history import History, Step

MADE = {
    "shop": ("0.20", "0.22", "0.28", "0.31", "1.0"),
    "desk": ("0.28", "0.31", "1.0"),
    "tasks": ("0.31", "1.0"),
}
"""Schema files in `drizzle_schemas/`, and which versions read them."""

_TABLE = """CREATE TABLE drizzle.__drizzle_migrations (
    id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint{})"""
_SINCE_1 = ", name text, applied_at timestamp with time zone DEFAULT now()"


@cache
def histories() -> list[History]:
    """Return all histories. The first time on a machine that takes minutes, later a second."""
    wanted = [(name, version) for name, versions in MADE.items() for version in versions]
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(lambda one: history(*one), wanted))


def history(name: str, version: str) -> History:
    """Return the history that a version of drizzle-kit makes of a schema file."""
    made = project(name, version)
    return History(
        name=f"{name}-{version}",
        package="drizzle-kit",
        version=version,
        tool="drizzle",
        steps=tuple(Step(title, up=_sent(made, file), together=True) for title, file in made.files.items()),
        before=("CREATE SCHEMA drizzle", _TABLE.format(_SINCE_1 if made.kit.in_folders else "")),
    )


def _sent(made: Project, file: Path) -> tuple[str, ...]:
    """Return what drizzle-orm's migrator sends for a file, the row of its own history last.

    Source: drizzle-orm 0.45.4 (pg-core/dialect.js, migrator.js), 1.0.0-rc.5 (pg-core/async/session.js).
    """
    text = (made.folder / file).read_text()
    row = {"hash": hashlib.sha256(text.encode()).hexdigest()} | _when(made, file)
    values = ", ".join(f"'{one}'" for one in row.values())
    written = f"INSERT INTO drizzle.__drizzle_migrations ({', '.join(row)}) VALUES ({values})"
    return (*text.split("--> statement-breakpoint"), written)


def _when(made: Project, file: Path) -> dict[str, str]:
    if made.kit.in_folders:
        name = file.parent.name
        at = datetime.strptime(name[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return {"created_at": str(int(at.timestamp()) * 1000), "name": name}
    journal = json.loads((made.folder / "drizzle/meta/_journal.json").read_text())
    (when,) = (one["when"] for one in journal["entries"] if one["tag"] == file.stem)
    return {"created_at": str(when)}
