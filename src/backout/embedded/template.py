"""A data folder of PostgreSQL that is made once, and copied for servers whose data nobody keeps: `initdb` takes a second."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backout.embedded.binaries import Account, Binaries

_PASSWORD = "password"
_DATA = "data"
# `initdb` writes down which collations the system has.
_COLLATIONS = (Path("/usr/lib/locale/locale-archive"), Path("/usr/lib/locale"))


@dataclass(frozen=True, slots=True)
class Template:
    """Where the data folder lies, and the superuser's password in it; only its owner can read them.

    Servers that are made of it have the same system identifier and the same superuser's password.
    """

    place: Path

    @classmethod
    def of(cls, binaries: Binaries) -> Template:
        """Return the template of these programs, as they and the system's collations are now; it need not be there yet."""
        import platformdirs

        cache = platformdirs.user_cache_path if os.geteuid() else platformdirs.site_cache_path
        programs = (binaries.directory / "initdb", binaries.directory / "postgres")
        states = [
            (str(path), found.st_mtime_ns, found.st_size)
            for path in (*programs, *_COLLATIONS)
            if (found := _stat(path))
        ]
        whose, which = _short(str(binaries.directory)), _short(repr(states))
        return cls(cache("backout") / f"template-{whose}-{which}")

    def copy_to(self, data: Path, account: Account) -> str | None:
        """Copy it to a folder that is not there yet, for the user that the server runs as.

        Returns:
            The superuser's password; None: there is no template that can be copied, and no folder.
        """
        try:
            password = (self.place / _PASSWORD).read_text()
            shutil.copytree(self.place / _DATA, data, copy_function=shutil.copy)
            if account.switch:
                for path in (data, *data.rglob("*")):
                    os.chown(path, account.uid, account.gid)
        except (OSError, shutil.Error):
            shutil.rmtree(data, ignore_errors=True)
            return None
        return password

    def keep(self, data: Path, password: str) -> None:
        """Have a data folder, of which no server runs, be the template, instead of those of earlier states of the programs.

        Where nothing can be written, there is none.
        """
        with suppress(OSError, shutil.Error):
            self.place.parent.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix="draft-", dir=self.place.parent))
            made = draft / "made"
            try:
                made.mkdir(mode=0o700)
                shutil.copytree(data, made / _DATA, copy_function=_copy_durably)
                (made / _PASSWORD).write_text(password)
                _sync(made / _PASSWORD)
                # Moved away first: whoever is copying one finds it gone, and not with some of its files.
                for old in self.place.parent.glob(f"{self.place.name.rpartition('-')[0]}-*"):
                    old.rename(draft / old.name)
                made.rename(self.place)
            finally:
                shutil.rmtree(draft, ignore_errors=True)


def _copy_durably(source: str, target: str) -> None:
    shutil.copy(source, target)
    _sync(Path(target))


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
