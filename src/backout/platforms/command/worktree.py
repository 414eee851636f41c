"""Runs a command in a clean worktree of a commit, and takes the worktree away again, whatever came of it.

``python -I -S worktree.py '{"cwd": …, "commit": …, "worktree": …, "command": […]}'``, started by the launcher. It imports
nothing of backout. The user's working tree, index and branches are not touched: git adds an entry below
``.git/worktrees`` and takes it away.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

PREFIX, NAME = "backout-worktree-", "tree"
"""What the folder around a worktree begins with, and what the worktree is called."""
NO_WORKTREE = 125
"""Exit status when the worktree could not be made: the command was not started."""
_child: subprocess.Popen[bytes] | None = None
_signals: list[int] = []


def remove(cwd: str, worktree: Path) -> bool:
    """Take a worktree and the folder around it away; returns whether they are gone. Idempotent.

    What is not called as ours are is left alone: the path comes from a file that anything may have happened to.
    """
    if not is_ours(worktree):
        return False
    # Twice --force: also one that git locked because it was cut short while it made it.
    with suppress(OSError):
        subprocess.run(
            ["git", "-C", cwd, "worktree", "remove", "--force", "--force", str(worktree)],
            stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
    shutil.rmtree(worktree.parent, onerror=_once_more_writable)
    return not worktree.parent.exists()


def is_ours(worktree: Path) -> bool:
    """Return whether a path is the one of such a worktree."""
    return worktree.is_absolute() and worktree.name == NAME and worktree.parent.name.startswith(PREFIX)


def _once_more_writable(remove_it: Any, path: str, _error: object) -> None:
    # Some tools (the Go module cache) leave folders that even their owner cannot write to.
    with suppress(OSError):
        Path(path).parent.chmod(0o700)
        Path(path).chmod(0o700)
        remove_it(path)


def main(text: str) -> int:
    """Run as that process; returns the command's exit status, 128 + N where a signal ended it."""
    told = json.loads(text)
    cwd, worktree = told["cwd"], Path(told["worktree"])
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        signal.signal(getattr(signal, name), _pass_on)
    try:
        folder = _made(cwd, worktree, told["commit"])
        return (
            NO_WORKTREE
            if folder is None
            else _run(told["command"], cwd=folder, env={**os.environ, "PWD": str(folder)})
        )
    finally:
        if not remove(cwd, worktree):
            _say(f"the worktree {worktree.parent} could not be removed")


def _made(cwd: str, worktree: Path, commit: str) -> Path | None:
    """Make the worktree, and return the folder in it that is `cwd` here; None if that cannot be."""
    # No hook runs, and all files come: hooks and a sparse checkout belong to the user's own working tree.
    add = ["git", "-C", cwd, "-c", "core.hooksPath=/dev/null", "-c", "core.sparseCheckout=false", "worktree", "add", "--quiet", "--detach", str(worktree), commit]  # fmt: skip
    if _run(add) != 0:
        _say(
            f"no clean worktree of {commit} could be made in {worktree.parent}: nothing was built or deployed"
        )
        return None
    prefix = subprocess.run(
        ["git", "-C", cwd, "rev-parse", "--show-prefix"], capture_output=True, text=True, check=False
    ).stdout.rstrip("\n")
    if (folder := worktree / prefix).is_dir():
        return folder
    _say(f"{commit} has not the folder {prefix}: nothing was built or deployed")
    return None


def _run(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> int:
    global _child
    if _signals:
        return 128 + _signals[0]
    try:
        _child = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL)
    except OSError as error:
        _say(f"{command[0]}: {error.strerror}")
        return 127
    for number in _signals:  # one came while the command was being started
        _child.send_signal(number)
    status = _child.wait()
    return 128 - status if status < 0 else status


def _pass_on(number: int, _frame: object) -> None:
    _signals.append(number)
    if _child is not None:
        with suppress(ProcessLookupError):
            _child.send_signal(number)


def _say(text: str) -> None:
    os.write(2, f"backout: {text}\n".encode(errors="surrogateescape"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
