"""Backups in a folder: what people's own scripts put there, and what backout makes."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, ValidationError, field_validator

from backout.backup import Backup, BackupFormat, Manifest
from backout.backups.contents import content_of
from backout.backups.durable import sync, sync_all, write_durably
from backout.backups.identity import MANIFEST, checksums_of, identity_of, manifest_of, size_of
from backout.backups.names import NameTold, name_in, told_by_name
from backout.backups.rotation import beyond
from backout.document import Document
from backout.errors import NotPossible, TargetUnreachable
from backout.faults import fault_point
from backout.message import msg
from backout.platforms.base import Detection, Diagnosis, Site

_DRAFT, _GONE = ".draft-", ".gone-"


class DirectoryOptions(Document):
    """Options of `backups: {kind: directory}`."""

    path: str = Field(default="backups", description="The folder, relative to this file.")
    name: str | None = Field(
        default=None,
        description="What the names of this service's backups begin with, up to the underscore; "
        "left out: the service's name.",
    )
    times_in: str = Field(
        default="UTC", description="Time zone of the times in file names, e.g. Asia/Seoul or UTC."
    )

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        if value is not None and (not value or "/" in value or value.startswith(".")):
            raise ValueError("the beginning of a file name, without a folder")
        return value

    @field_validator("times_in")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("the name of a time zone, as in UTC, Europe/Berlin or Asia/Seoul") from None
        return value


class DirectoryBackups:
    """One folder. A backup that backout makes is a folder in it, with a manifest inside.

    Each change is one rename, made durable: killed anywhere, a backup is listed whole or not at all.
    Hazard: whether a draft is still written is told by a lock (flock); on a network file system that is only as
    good as its lock manager.
    """

    kind: ClassVar[str] = "directory"
    Options: ClassVar[type[BaseModel]] = DirectoryOptions

    def __init__(self, folder: Path, name: str, zone: ZoneInfo, site: Site) -> None:
        self._folder, self._name, self._zone, self._site = folder, name, zone, site
        self._locks: dict[Path, int] = {}

    @classmethod
    def create(cls, options: BaseModel, site: Site) -> DirectoryBackups:
        """Bind the store; touches nothing."""
        if not isinstance(options, DirectoryOptions):
            raise TypeError(f"expected DirectoryOptions, got {type(options).__name__}")
        folder = site.directory.resolve() / options.path
        return cls(folder, options.name or site.service, ZoneInfo(options.times_in), site)

    @classmethod
    def detect(cls, directory: Path) -> Detection | None:
        """Look for a folder with backups below a directory; changes nothing."""
        for place in ("backups", "backup", "shared/backups", "var/backups", "dumps"):
            with suppress(OSError):
                names = [n for n in (name_in(p.name) for p in (directory / place).iterdir()) if n]
                if names:
                    name = max(sorted(set(names)), key=names.count)
                    return Detection(
                        kind=cls.kind,
                        options={"path": place, "name": name},
                        evidence=msg("{place} has {count} backups of {name}",
                                     place=place, count=names.count(name), name=name),
                        confidence=0.9 if len(set(names)) == 1 else 0.6,
                    )  # fmt: skip
        return None

    # --- looking --------------------------------------------------------------------------------

    def found(self, deadline_s: float) -> tuple[Backup, ...]:
        """Return every backup of this service, newest first; what has no time comes last. Reads no data.

        Raises:
            TargetUnreachable: The folder is not there, cannot be read, or does not answer in time.
        """
        until_s = self._site.clock.monotonic_s() + deadline_s
        backups = []
        with self._reaching():
            for path in sorted(self._folder.iterdir()):
                if self._site.clock.monotonic_s() > until_s:
                    raise TimeoutError(f"no answer within {deadline_s:g} s")
                with suppress(FileNotFoundError):  # It went away meanwhile.
                    backup = self._backup(path)
                    if backup:
                        backups.append(backup)
        return tuple(sorted(backups, key=_age, reverse=True))

    def _backup(self, path: Path) -> Backup | None:
        """Return the backup at a path; None: there is none of this service."""
        if path.name.startswith("."):
            return None
        folder = path.is_dir()
        told = told_by_name(path.name, self._name, self._zone, folder=folder)
        if told is None and not folder:
            return None
        manifest = self._manifest(path)
        if manifest is not None and self._foreign(manifest):
            return None
        if told is None and manifest is None:
            return None
        taken_at, taken_at_by = _taken(path, told or NameTold(), manifest)
        return Backup(
            name=path.name,
            path=str(path),
            format=content_of(path).format or _format_by_name(path),
            size_bytes=size_of(path),
            taken_at=taken_at,
            taken_at_by=taken_at_by,
            before_version=told.before_version if told else None,
            identity=identity_of(path),
            manifest=manifest,
            by_backout=bool(folder and manifest and manifest.files),
        )

    def _manifest(self, path: Path) -> Manifest | None:
        """Return the manifest; None: there is none, or it cannot be understood (`doctor` says so)."""
        try:
            return Manifest.model_validate_json(manifest_of(path).read_text())
        except (FileNotFoundError, NotADirectoryError, ValidationError, UnicodeDecodeError):
            return None

    def _foreign(self, manifest: Manifest) -> bool:
        return (manifest.service, manifest.environment) != (self._site.service, self._site.environment)

    # --- keeping --------------------------------------------------------------------------------

    def draft(self, name: str) -> Path:
        """Return a new empty folder; drafts that a killed process left behind are removed.

        Raises:
            NotPossible: There is a backup of that name, or it cannot be a name.
            TargetUnreachable: The folder cannot be written.
        """
        if not name or "/" in name or name.startswith("."):
            raise NotPossible(
                msg("A backup cannot be called {name}", name=name),
                state=msg("Nothing was changed."),
                next_command="backout backup list",
            )
        with self._reaching():
            # Only the last folder is made: where a disk is not mounted, its mount point's parent is not there.
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._clear(_DRAFT)
            self._clear(_GONE)
            self._refuse_taken(name)
            fault_point("backups.draft.before")
            path = self._locked_folder(f"{_DRAFT}{name}-")
            fault_point("backups.draft.after")
        return path

    def _locked_folder(self, prefix: str) -> Path:
        while True:
            path = Path(tempfile.mkdtemp(prefix=prefix, dir=self._folder))
            # Between the two, somebody who clears up may have taken it for one that was left behind.
            with suppress(FileNotFoundError, BlockingIOError):
                lock = _lock(path)
                if path.exists():
                    self._locks[path] = lock
                    return path
                os.close(lock)

    def publish(self, draft: Path, name: str, manifest: Manifest) -> Backup:
        """Write the manifest beside the data, make all of it durable, and list it under its name. Atomic.

        Checksums that the manifest does not have are taken here. Idempotent: published twice is published.

        Raises:
            NotPossible: There is a backup of that name.
            TargetUnreachable: The disk refuses; the draft is still one.
        """
        final = self._folder / name
        with self._reaching():
            if not draft.exists() and final.is_dir() and self._is_published(final, manifest):
                return self._listed(final)
            self._refuse_taken(name)
            if not manifest.files:
                manifest = manifest.model_copy(update={"files": checksums_of(draft)})
            write_durably(draft / MANIFEST, manifest.model_dump_json(indent=1))
            sync_all(draft)
            fault_point("backups.publish.before")
            draft.rename(final)
            fault_point("backups.publish.after")
            sync(self._folder)
            self._unlock(draft)
            return self._listed(final)

    def discard(self, draft: Path) -> None:
        """Remove a draft. Idempotent."""
        with self._reaching():
            if draft.parent == self._folder and draft.name.startswith(_DRAFT):
                with suppress(FileNotFoundError):
                    shutil.rmtree(draft)
            self._unlock(draft)

    def rotate(self, keep: int, pinned: Collection[str]) -> tuple[str, ...]:
        """Remove the oldest backups that backout made, beyond the newest `keep` of the whole database; never a pinned one.

        Raises:
            TargetUnreachable: The folder cannot be read or written; what was removed by then is gone.
        """
        if keep < 0:
            raise ValueError("keep is a number of backups")
        own = [b for b in self.found(deadline_s=60) if b.by_backout]
        removed = []
        with self._reaching():
            for backup in reversed(beyond(own, keep)):
                if backup.name not in pinned:
                    self._remove(Path(backup.path))
                    removed.append(backup.name)
            self._clear(_GONE)
        return tuple(removed)

    def _remove(self, path: Path) -> None:
        """Take a backup out of the list by one rename, then delete it."""
        gone = Path(tempfile.mkdtemp(prefix=f"{_GONE}{path.name}-", dir=self._folder))
        fault_point("backups.rotate.before")
        with suppress(FileNotFoundError):  # Somebody else rotates too.
            path.rename(gone)  # Onto an empty folder, which it replaces.
        fault_point("backups.rotate.after")
        sync(self._folder)
        shutil.rmtree(gone)

    def _clear(self, prefix: str) -> None:
        """Remove what a killed process left behind: nobody holds its lock."""
        for path in self._folder.glob(f"{prefix}*"):
            if path in self._locks:
                continue
            with suppress(FileNotFoundError, BlockingIOError):
                lock = _lock(path)
                try:
                    shutil.rmtree(path)
                finally:
                    os.close(lock)

    def _unlock(self, draft: Path) -> None:
        lock = self._locks.pop(draft, None)
        if lock is not None:
            os.close(lock)

    def _refuse_taken(self, name: str) -> None:
        if (self._folder / name).exists():
            raise NotPossible(
                msg("There is a backup {name} already", name=name),
                state=msg("It was not touched."),
                next_command="backout backup list",
            )

    def _is_published(self, final: Path, manifest: Manifest) -> bool:
        there = self._manifest(final)
        blank: dict[str, object] = {} if manifest.files else {"files": {}}
        return there is not None and there.model_copy(update=blank) == manifest

    def _listed(self, path: Path) -> Backup:
        backup = self._backup(path)
        if backup is None:
            raise FileNotFoundError(2, "it was published for another service or environment", str(path))
        return backup

    # --- doctor ---------------------------------------------------------------------------------

    def doctor(self) -> Iterable[Diagnosis]:
        """Try what a restore would need, touching nothing."""
        from backout.backups.directory_doctor import diagnose

        return diagnose(self, self._folder, self._name)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or str(error) or type(error).__name__
            raise TargetUnreachable(
                msg("Backups in {path}: {why}", path=str(error.filename or self._folder), why=why),
                state=msg("What was listed before is still there."),
                next_command=f"ls -ld {shlex.quote(str(self._folder))}; df -h {shlex.quote(str(self._folder))}",
            ) from None


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _taken(
    path: Path, told: NameTold, manifest: Manifest | None
) -> tuple[datetime, Literal["manifest", "name", "file"]]:
    if manifest is not None:
        return manifest.taken_at, "manifest"
    if told.time is not None:
        return told.time, "name"
    file = path / "toc.dat" if (path / "toc.dat").is_file() else path
    return datetime.fromtimestamp(file.stat().st_mtime, UTC), "file"


def _format_by_name(path: Path) -> BackupFormat:
    """Return what a name claims to be, for what the content does not tell: reading it says what is wrong."""
    name = path.name.lower()
    if path.is_dir():
        return BackupFormat.DIRECTORY
    if name.endswith(".gz"):
        return BackupFormat.PLAIN_GZIP
    return BackupFormat.PLAIN if name.endswith(("sql", "psql")) else BackupFormat.CUSTOM


def _age(backup: Backup) -> tuple[bool, datetime, str]:
    at = backup.taken_at
    return (at is not None, at or datetime.min.replace(tzinfo=UTC), backup.name)
