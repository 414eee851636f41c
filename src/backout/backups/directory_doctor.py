"""Tries what a restore would need of a folder of backups, touching nothing."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from backout.backup import Backup, Manifest
from backout.backups.identity import manifest_of
from backout.errors import TargetUnreachable
from backout.message import Message, msg
from backout.platforms.base import Diagnosis

if TYPE_CHECKING:
    from backout.backups.base import BackupStore

_SUBJECT = "backups"
_DEADLINE_S = 10.0


def diagnose(store: BackupStore, folder: Path, name: str) -> list[Diagnosis]:
    """Return one line for each thing that a restore, or the next backup, would need of the folder."""
    try:
        backups = store.found(_DEADLINE_S)
        names = sorted(path.name for path in folder.iterdir())
        lines = [_newest(backups, folder, name), *_manifests(folder, names), *_strange(backups, names)]
        return [*lines, _room(folder)]
    except TargetUnreachable as error:
        what = error.what
    except OSError as error:
        what = msg("{path}: {why}", path=str(folder), why=error.strerror or str(error))
    return [_red(what, f"mkdir -p {shlex.quote(str(folder))}   # or correct backups.path")]


def _newest(backups: tuple[Backup, ...], folder: Path, name: str) -> Diagnosis:
    whole = [b for b in backups if not b.tables]
    if not whole:
        evidence = msg("There is no backup of {name} in {folder}", name=name, folder=str(folder))
        return _red(evidence, "backout backup create   # or correct backups.path, backups.name")
    evidence = msg("{count} backups in {folder}; the newest is {newest}",
                   count=len(backups), folder=str(folder), newest=whole[0].name)  # fmt: skip
    return Diagnosis(subject=_SUBJECT, ok=True, evidence=evidence)


def _manifests(folder: Path, names: list[str]) -> Iterator[Diagnosis]:
    for name in names:
        path = manifest_of(folder / name)
        if not name.startswith(".") and path.is_file() and not _understood(path):
            evidence = msg("The manifest of {name} cannot be understood", name=name)
            yield _red(evidence, f"cat {shlex.quote(str(path))}")


def _strange(backups: tuple[Backup, ...], names: list[str]) -> Iterator[Diagnosis]:
    listed = {b.name for b in backups} | {manifest_of(Path(b.path)).name for b in backups}
    strange = [n for n in names if n not in listed and not n.startswith(".")]
    if strange:
        evidence = msg("Not of this service, half-written or not understood: {count}, as {first}",
                       count=len(strange), first=strange[0])  # fmt: skip
        yield Diagnosis(subject=_SUBJECT, ok=True, evidence=evidence)


def _room(folder: Path) -> Diagnosis:
    if not os.access(folder, os.W_OK | os.X_OK):
        evidence = msg("{folder} cannot be written: no backup can be made", folder=str(folder))
        return _red(evidence, f"ls -ld {shlex.quote(str(folder))}")
    free = shutil.disk_usage(folder).free
    return Diagnosis(
        subject=_SUBJECT, ok=True, evidence=msg("{mb} MB are free for backups", mb=free // 1_000_000)
    )


def _understood(path: Path) -> bool:
    try:
        Manifest.model_validate_json(path.read_text())
    except (ValidationError, UnicodeDecodeError):
        return False
    return True


def _red(evidence: Message, remedy: str) -> Diagnosis:
    return Diagnosis(subject=_SUBJECT, ok=False, evidence=evidence, remedy=remedy)
