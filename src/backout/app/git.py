"""What git knows of a version: the commit and the subject of its tag. Only looked at, never needed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from backout.release import Release

_FORMAT = (
    "%(refname:short)%09%(*objectname)%(objectname)%09%(creatordate:iso-strict)%09%(*subject)%00%(subject)"
)


def tags(directory: Path, deadline_s: float) -> tuple[Release, ...]:
    """Return the tags of the repository around `directory` as releases, newest first; empty where there is none."""
    here = directory.resolve()
    if not any((folder / ".git").exists() for folder in (here, *here.parents)):
        return ()
    import subprocess

    try:
        listed = subprocess.run(
            [
                "git",
                "-C",
                str(directory),
                "for-each-ref",
                "--sort=-creatordate",
                "--count=500",
                f"--format={_FORMAT}",
                "refs/tags",
            ],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=deadline_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(_release(line) for line in listed.stdout.splitlines() if line.count("\t") == 3)


def _release(line: str) -> Release:
    tag, commits, date, subjects = line.split("\t")
    of_annotated, _, own = subjects.partition("\0")
    return Release(
        id=f"tag-{tag}",
        service="",
        environment="",
        version=tag,
        # An annotated tag names its commit first (40 hexadecimal digits), then itself.
        commit=commits[:40],
        subject=of_annotated or own,
        deployed_at=datetime.fromisoformat(date),
        source="found",
    )
