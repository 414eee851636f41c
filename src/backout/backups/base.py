"""What a backup store is: it lists what people have, and keeps what backout makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from pydantic import BaseModel

    from backout.backup import Backup, Manifest
    from backout.platforms.base import Detection, Diagnosis, Site


class BackupStore(Protocol):
    """One place with the backups of one service in one environment.

    It knows names, times and manifests; what is in the data only the database's adapter can tell.
    All raise `TargetUnreachable` when the place cannot be read.
    """

    kind: ClassVar[str]
    Options: ClassVar[type[BaseModel]]

    @classmethod
    def create(cls, options: BaseModel, site: Site) -> BackupStore:
        """Bind the store; touches nothing."""
        ...

    @classmethod
    def detect(cls, directory: Path) -> Detection | None:
        """Look for backups below a directory; changes nothing."""
        ...

    def found(self, deadline_s: float) -> tuple[Backup, ...]:
        """Return every backup of this service, newest first; what has no time comes last. Reads no data."""
        ...

    def draft(self, name: str) -> Path:
        """Return a new empty folder that a backup can be written to; it is listed only once it is published."""
        ...

    def publish(self, draft: Path, name: str, manifest: Manifest) -> Backup:
        """Write the manifest beside the data, make all of it durable, and list it under its name. Atomic."""
        ...

    def discard(self, draft: Path) -> None:
        """Remove a draft. Idempotent."""
        ...

    def rotate(self, keep: int, pinned: Collection[str]) -> tuple[str, ...]:
        """Remove the oldest backups that backout made, beyond `keep` of the whole database, never a pinned one.

        Returns their names.
        """
        ...

    def doctor(self) -> Iterable[Diagnosis]:
        """Try what a restore would need, touching nothing."""
        ...
