"""PostgreSQL's own programs: where they are, which version they have, and how they are run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from backout.databases.postgres.connect import Connector
from backout.errors import NotPossible
from backout.message import msg

NEEDED = ("pg_dump", "pg_restore", "psql")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")
_KNOW_RESTRICT = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
r"""First minor version whose psql knows \restrict. Source: release notes of 13.22 to 17.6 (CVE-2025-8714)."""
# A restore needs no durability before its end, and a limit of the role must not end it.
SETTINGS = {
    "default_transaction_read_only": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}


class Programs(NamedTuple):
    """A folder with PostgreSQL's programs.

    Attributes:
        version: As the programs say it themselves: `pg_dump (PostgreSQL) 15.20`.
    """

    folder: Path
    major: int
    minor: int
    version: str

    def path(self, name: str) -> str:
        """Return the path of one program."""
        return str(self.folder / name)

    @property
    def knows_restrict(self) -> bool:
        r"""Whether its psql knows ``\restrict``; an older one stops at it."""
        return self.major >= min(_KNOW_RESTRICT) and self.minor >= _KNOW_RESTRICT.get(self.major, 0)


def find_programs(configured: Path | None, server_version: int | None) -> Programs:
    """Return the programs to use with a server: those of its own major version, else the oldest newer ones.

    Where the server's version is not known (None), the newest there are.

    Raises:
        NotPossible: There are none, or only older ones: pg_dump refuses a server newer than itself.

    Source: PostgreSQL 15 documentation, pg_dump, "Notes".
    """
    major = (server_version or 0) // 10000
    found = [p for folder in _folders(configured) if (p := _look(folder)) is not None]
    fitting = sorted((p for p in found if p.major >= major), key=lambda p: (p.major, p.minor))
    if fitting:
        return fitting[0 if server_version is not None else -1]
    seen = ", ".join(f"{p.folder} ({p.major})" for p in found)
    place = str(configured) if configured is not None else "/usr/lib/postgresql/*/bin or PATH"
    raise NotPossible(
        msg(
            "No pg_dump, pg_restore and psql of version {major} or newer: found {seen}",
            major=major,
            seen=seen,
        )
        if found
        else msg("pg_dump, pg_restore and psql are not in {place}", place=place),
        state=msg("Nothing was changed."),
        next_command=f"apt-get install postgresql-client{f'-{major}' if major else ''}"
        "  # or name their folder: database.programs",
    )


def environment(connector: Connector, settings: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Return the connection text and the whole environment for one of the programs."""
    text, added = connector.for_programs(settings)
    kept = {k: v for k, v in os.environ.items() if k not in ("PGOPTIONS", "PGDATABASE", "PGAPPNAME")}
    return text, kept | added | {"LC_ALL": "C", "PGCONNECT_TIMEOUT": "10"}


def die_with_parent() -> None:
    """Let the kernel end this process when its parent ends, however that ends (Linux; else nothing is done)."""
    import ctypes
    import signal

    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, linux/prctl.h


def _folders(configured: Path | None) -> Iterator[Path]:
    if configured is not None:
        yield configured
        return
    versions = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    for prefix in ("/opt/homebrew/opt", "/usr/local/opt"):
        versions += Path(prefix).glob("postgresql*/bin")
    yield from versions
    on_path = shutil.which("pg_dump")
    if on_path:
        yield Path(on_path).parent


def _look(folder: Path) -> Programs | None:
    if not all(os.access(folder / name, os.X_OK) for name in NEEDED):
        return None
    try:
        told = subprocess.run(
            [str(folder / "pg_dump"), "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = _VERSION.search(told.stdout)
    if number is None:
        return None
    return Programs(folder, int(number[1]), int(number[2] or 0), told.stdout.strip())
