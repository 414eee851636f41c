"""A project of drizzle-kit whose schema file evolves: made once by the real drizzle-kit, and kept beside the repository."""

from __future__ import annotations

import fcntl
import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.corpus.drizzle_kit import Kit
from tests.corpus.evolving import Evolving
from tests.corpus.installing import cache

HERE = Path(__file__).parent
SCHEMAS = HERE / "drizzle_schemas"


@dataclass(frozen=True)
class Project:
    """A folder as a user has it, `drizzle/` with all migrations in it. Nothing may be written there."""

    folder: Path
    kit: Kit

    @cached_property
    def files(self) -> dict[str, Path]:
        """By the title of its step, each migration's file, in their order; below the folder."""
        return {title: Path(file) for title, file in json.loads((self.folder / "steps.json").read_text())}


def project(name: str, version: str) -> Project:
    """Return a schema file's project in one version of drizzle-kit.

    Idempotent: what it is made of, by content, is made once; half a minute on a machine with nothing else to do.
    """
    source, kit = Evolving(SCHEMAS / f"{name}.ts"), Kit(version)
    cache().mkdir(parents=True, exist_ok=True)
    at = cache() / f"drizzle-{name}-{version}-{_digest(source, kit)}"
    with _alone(at):
        if not at.exists():
            with tempfile.TemporaryDirectory(dir=at.parent) as folder:
                _make(source, kit, Path(folder) / "project")
                (Path(folder) / "project").rename(at)
    return Project(at, kit)


def _make(source: Evolving, kit: Kit, folder: Path) -> None:
    """Run `drizzle-kit generate` for each step, as somebody does who works on a schema."""
    folder.mkdir()
    (folder / "node_modules").symlink_to(kit.node_modules)
    steps = []
    for planned in source.steps:
        (folder / "schema.ts").write_text(source.at(planned.number))
        file = kit.generate(folder, planned)
        if planned.custom is not None:
            file.write_text(planned.custom)
        elif planned.before:
            file.write_text(f"{planned.before.rstrip()}\n--> statement-breakpoint\n{file.read_text()}")
        steps.append((planned.title, str(file.relative_to(folder))))
    (folder / "node_modules").unlink()
    (folder / "steps.json").write_text(json.dumps(steps))


def _digest(source: Evolving, kit: Kit) -> str:
    """Return a name of all that a project is made of."""
    files = [
        source.file,
        *sorted(source.folder.glob("*.sql")),
        *(HERE / one for one in ("drizzle_kit.py", "evolving.py")),
        *(kit.node_modules / one / "package.json" for one in ("drizzle-kit", "drizzle-orm")),
    ]
    said = hashlib.sha256()
    for one in files:
        said.update(one.name.encode() + b"\0" + one.read_bytes() + b"\0")
    return said.hexdigest()[:16]


@contextmanager
def _alone(at: Path) -> Iterator[None]:
    """Let one process at a time make it; the others find it made."""
    with at.with_name(f"{at.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
