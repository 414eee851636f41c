"""What git knows of a version: the commit and the subject of its tag, and its files. The repository is only read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from backout.errors import UsageError
from backout.message import msg
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


@contextmanager
def checked_out(revision: str, directory: Path) -> Iterator[Path]:
    """Give the folder `directory` as it was at a revision, elsewhere, and remove it at the end.

    What git ignores here (installed packages, `.env`) is linked there, as a command of then needs it too.

    Raises:
        UsageError: There is no such revision, or the folder was not in it.
    """
    with tempfile.TemporaryDirectory(prefix="backout-revision-") as made:
        tree = Path(made, "tree")
        tree.mkdir()
        index = {"GIT_INDEX_FILE": str(Path(made, "index"))}
        commit = _git(
            directory, revision, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}"
        )
        top = Path(_git(directory, revision, "rev-parse", "--show-toplevel"))
        _git(top, revision, "read-tree", commit, environment=index)
        _git(top, revision, "checkout-index", "--all", f"--prefix={tree}/", environment=index)
        ignored = _git(
            top, revision, "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"
        )
        for name in filter(None, ignored.split("\0")):
            link = tree / name.rstrip("/")
            if link.parent.is_dir() and not link.exists():
                link.symlink_to(top / name.rstrip("/"))
        here = tree / directory.resolve().relative_to(top.resolve())
        if not here.is_dir():
            raise _unknown(revision, f"it has not the folder {here.relative_to(tree)}")
        yield here


def _git(directory: Path, revision: str, *words: str, environment: Mapping[str, str] | None = None) -> str:
    import subprocess

    try:
        return subprocess.run(
            ["git", "-C", str(directory), *words],
            env={**os.environ, **(environment or {})},
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=True,
            stdin=subprocess.DEVNULL,
        ).stdout.rstrip("\n")
    except OSError as error:
        raise _unknown(revision, f"git: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        raise _unknown(revision, str(error.stderr).strip().partition("\n")[0]) from None


def _unknown(revision: str, why: str) -> UsageError:
    return UsageError(
        msg("The files of the git revision {revision} cannot be had: {why}", revision=revision, why=why),
        state=msg("Nothing was run."),
        next_command="git log --oneline -- .   # the revisions of this folder",
    )


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
