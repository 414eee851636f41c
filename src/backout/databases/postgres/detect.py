"""Finds a PostgreSQL in a service's env files; keeps the name of the variable, never its value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from backout.message import msg
from backout.platforms.base import Detection

_PLACES = (".env", ".env.*", "*.env", "env", "shared/.env", "shared/env", "shared/*.env", "config/*.env")
_ENTRY = re.compile(
    r"^\s*(?:export\s+)?(?P<key>DATABASE_URL|POSTGRES_URL|POSTGRESQL_URL)\s*=\s*[\"']?"
    r"(?P<scheme>postgres(?:ql)?(?:\+[a-z0-9_]+)?)://",
    re.MULTILINE,
)
_MAX_BYTES = 1_000_000
_SAMPLES = ("example", "sample", "template", "dist", "test")


def detect_postgres(directory: Path) -> Detection | None:
    """Return the options for the surest env file that names a PostgreSQL, or None."""
    best: Detection | None = None
    for file in _files(directory):
        found = _look_at(file, directory)
        if found and (best is None or found.confidence > best.confidence):
            best = found
    return best


def _files(directory: Path) -> Iterator[Path]:
    for place in _PLACES:
        yield from sorted(directory.glob(place))


def _look_at(file: Path, directory: Path) -> Detection | None:
    try:
        if not file.is_file() or file.stat().st_size > _MAX_BYTES:
            return None
        entry = _ENTRY.search(file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    if entry is None:
        return None
    sample = any(word in file.name for word in _SAMPLES)
    return Detection(
        kind="postgres",
        options={"url": f"${{{entry['key']}}}"},
        evidence=msg("{file} sets {key}", file=str(file.relative_to(directory)), key=entry["key"]),
        confidence=0.5 if sample else 0.9,
    )
