"""Where pg_dump, pg_restore and psql are, and how new."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backout.errors import NotPossible
from backout.message import msg

NAMES = ("pg_dump", "pg_restore", "psql")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")
_KNOW_RESTRICT = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
r"""First minor version whose psql knows \restrict. Source: release notes of 13.22 to 17.6 (CVE-2025-8714)."""


@dataclass(frozen=True, slots=True)
class Programs:
    """One set of programs of one version."""

    directory: Path
    major: int
    minor: int

    def path(self, name: str) -> str:
        """Return the path of one of `NAMES`."""
        return str(self.directory / name)


def knows_restrict(version: str) -> bool:
    r"""Whether the psql of a version, as ``pg_dump --version`` says it, knows ``\restrict``; an older one stops at it."""
    told = _VERSION.search(version)
    if told is None:
        return False
    major, minor = int(told[1]), int(told[2] or 0)
    return major >= min(_KNOW_RESTRICT) and minor >= _KNOW_RESTRICT.get(major, 0)


def find_programs(folder: Path | None = None, *, major: int | None = None) -> Programs:
    """Return the programs to use: those of `folder`; else of the wanted major version; else the newest.

    Raises:
        NotPossible: There are none.
    """
    found = list(_sets([folder] if folder else _folders()))
    if not found:
        raise NotPossible(
            msg("pg_dump, pg_restore and psql are not in {place}",
                place=str(folder) if folder else "/usr/lib/postgresql/*/bin or PATH"),
            state=msg("Nothing was changed."),
            next_command="apt-get install postgresql-client   # or name their folder: database.programs",
        )  # fmt: skip
    newest = max(found, key=lambda p: (p.major, p.minor))
    return next((p for p in found if p.major == major), newest)


def _folders() -> Iterator[Path]:
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    yield from sorted(Path("/usr").glob("pgsql-*/bin"))
    on_path = shutil.which("pg_dump")
    if on_path:
        yield Path(on_path).resolve().parent


def _sets(folders: list[Path] | Iterator[Path]) -> Iterator[Programs]:
    for folder in folders:
        if not all((folder / name).is_file() for name in NAMES):
            continue
        try:
            told = subprocess.run(
                [folder / "pg_restore", "--version"], capture_output=True, text=True, timeout=20, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        version = _VERSION.search(told.stdout)
        if version:
            yield Programs(folder, int(version[1]), int(version[2] or 0))
