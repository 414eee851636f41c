"""Release records and the platform's own options at the target, so that an emergency needs no config."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from backout.clock import Clock
from backout.document import Document, Json
from backout.errors import ConfigError
from backout.message import msg
from backout.platforms.process.files import disk_errors, write_atomically
from backout.platforms.process.lease import target_lock
from backout.platforms.process.options import Layout, ProcessOptions
from backout.redact import Redactor
from backout.release import Release


class Remembered(Document):
    """What ``platform.json`` says: enough to take a release back on this machine without a configuration.

    Attributes:
        options: As configured, with an absolute root; whatever held a secret is left out.
    """

    schema_version: int = 1
    service: str
    environment: str
    options: dict[str, Json]


class FileRecordStore:
    """Keeps release records in ``<root>/.backout/releases.jsonl``: a line each, the last of an id counts."""

    def __init__(self, layout: Layout, clock: Clock, remembered: Callable[[], Remembered]) -> None:
        self._layout = layout
        self._clock = clock
        self._remembered = remembered
        self._path = layout.state / "releases.jsonl"

    def read_records(self) -> tuple[Release, ...]:
        """Return the records, oldest first; unreadable ones are left out, never raised."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ()
        found: dict[str, Release] = {}
        for line in lines:
            try:
                release = Release.model_validate_json(line)
            except ValidationError:
                continue
            found[release.id] = release
        return tuple(sorted(found.values(), key=_age))

    def write_record(self, release: Release) -> None:
        """Add or replace (by id) one record, and remember the options. Atomic. Idempotent."""
        with target_lock(self._layout, self._clock), disk_errors(self._path):
            kept = [r for r in self.read_records() if r.id != release.id]
            lines = [r.model_dump_json() for r in sorted([*kept, release], key=_age)]
            write_atomically(self._path, "".join(f"{line}\n" for line in lines))
            write_atomically(_platform_file(self._layout.root), self._remembered().model_dump_json(indent=2))


def to_remember(
    options: ProcessOptions, layout: Layout, *, service: str, environment: str, redactor: Redactor
) -> Remembered:
    """Return what may be written at the target: an option that holds a secret is left out whole."""
    wanted: dict[str, Json] = json.loads(options.model_dump_json(exclude_none=True))
    wanted["root"] = str(layout.root)
    clean = {key: value for key, value in wanted.items() if redactor.json(value) == value}
    return Remembered(service=service, environment=environment, options=clean)


def recall(root: Path) -> Remembered | None:
    """Return what the last record left at this root, or None if there is nothing.

    Raises:
        ConfigError: The file is there and cannot be understood.
    """
    path = _platform_file(root)
    try:
        return Remembered.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, UnicodeDecodeError):
        raise ConfigError(
            msg("{path} cannot be understood", path=str(path)),
            state=msg("Nothing was changed"),
            next_command=f"cat {shlex.quote(str(path))}",
        ) from None


def _platform_file(root: Path) -> Path:
    return root / ".backout" / "platform.json"


def _age(release: Release) -> tuple[datetime, str]:
    at = release.deployed_at
    return (at if at.tzinfo else at.replace(tzinfo=UTC), release.id)
