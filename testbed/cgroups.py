"""Starts processes inside a cgroup of the testbed's own, which tells exactly what was started and is left.

A process cannot leave its cgroup by accident, its children are born into it, and the kernel keeps the list:
neither a kill -9 of everything nor a process id that is used again can lead to a wrong one being ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from testbed.errors import TestbedFailed
from testbed.versions import NAME

_ROOT = Path("/sys/fs/cgroup")
_JOIN = 'echo $$ >"$0" && exec "$@"'
_ENDED_S = 10.0
_children: list[subprocess.Popen[bytes]] = []
"""Those that this very process started: it has to take note of their end, or they stay as zombies."""


def is_v2() -> bool:
    """Return whether the machine has the unified hierarchy alone."""
    return (_ROOT / "cgroup.controllers").exists()


def make(name: str) -> list[Path]:
    """Make the cgroup `NAME/name` in every hierarchy; returns its folders. Idempotent."""
    if is_v2():
        controllers = (_ROOT / "cgroup.controllers").read_text().split()
        (_ROOT / NAME).mkdir(exist_ok=True)
        for folder in (_ROOT, _ROOT / NAME):
            enabled = (folder / "cgroup.subtree_control").read_text().split()
            for controller in sorted(set(controllers) - set(enabled)):
                with suppress(
                    OSError
                ):  # one that the machine does not hand down; the kubelet says what it lacks
                    (folder / "cgroup.subtree_control").write_text(f"+{controller}")
    made = [hierarchy / NAME / name for hierarchy in _hierarchies()]
    for folder in made:
        folder.mkdir(parents=True, exist_ok=True)
    return made


def start(name: str, command: Sequence[str], *, log: Path, env: Mapping[str, str]) -> None:
    """Start a command in its cgroup `NAME/name` and its own session, detached.

    Args:
        name: Of the component; also that of its cgroup.
        command: Program and arguments.
        log: Gets its standard output and error, appended.
        env: Its whole environment.
    """
    tracked = make(name)[0] / "cgroup.procs"
    with log.open("ab") as out:
        child = subprocess.Popen(
            ["/bin/sh", "-c", _JOIN, str(tracked), *command],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", env=dict(env), start_new_session=True,
        )  # fmt: skip
    _children.append(child)


def pids(name: str = "") -> list[int]:
    """Return what runs in the cgroup of a component, or (without a name) of the whole node."""
    found: set[int] = set()
    for hierarchy in _hierarchies():
        # Groups of pods that end go away meanwhile: os.walk passes them over, Path.rglob does not (CPython 3.11).
        for folder, _, files in os.walk(hierarchy / NAME / name):
            if "cgroup.procs" in files:
                with suppress(OSError):
                    found.update(int(line) for line in Path(folder, "cgroup.procs").read_text().split())
    return sorted(found)


def end(name: str = "", *, first: signal.Signals = signal.SIGKILL, patience_s: float = 5.0) -> None:
    """End what runs in a component's cgroup, or in the node's: with `first`, then after a while by force.

    Raises:
        TestbedFailed: Something is left all the same.
    """
    _signal(name, first)
    deadline, told_by = time.monotonic() + _ENDED_S + patience_s, time.monotonic() + patience_s
    while left := pids(name):
        now = time.monotonic()
        if now > deadline:
            raise TestbedFailed(f"Processes {left} do not end.")
        if now > told_by or first == signal.SIGKILL:
            _signal(name, signal.SIGKILL)
        _reap()
        time.sleep(0.02)


def remove() -> None:
    """Delete the node's cgroups, which have to be empty. Idempotent."""
    for hierarchy in _hierarchies():
        top = hierarchy / NAME
        folders = [folder for folder in top.rglob("*") if folder.is_dir()] if top.exists() else []
        for folder in (*sorted(folders, key=lambda path: -len(path.parts)), top):
            with suppress(FileNotFoundError):
                folder.rmdir()


def _signal(name: str, number: signal.Signals) -> None:
    for pid in pids(name):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _reap() -> None:
    _children[:] = [child for child in _children if child.poll() is None]


def _hierarchies() -> Iterator[Path]:
    if is_v2():
        yield _ROOT
        return
    first = _ROOT / "pids"
    yield first
    for folder in sorted(_ROOT.iterdir()):
        if folder != first and not folder.is_symlink() and (folder / "cgroup.procs").exists():
            yield folder
