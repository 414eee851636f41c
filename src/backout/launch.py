"""Starts a command so that it outlives backout, at most once, and so that anybody can tell whether it runs.

The command is started by `launcher.py`, a script in its own session. Whether the command runs is told by a
lock (flock) that the kernel drops when its last holder ends: a kill -9 of backout in the middle can neither
lose the command nor lead to two copies. The lock is taken before the launcher is started and handed down to
it, so that no moment is left for a second copy.

- A service: the launcher becomes the command; the lock stays with it and its children. Its log is its own.
- A job: the launcher waits for the command and writes its exit status. The lock stays with the launcher
  alone: a deploy script may leave a service behind, and is over all the same. What a job prints is redacted
  before it reaches the log, also when backout is gone.

Hazard: flock on a network file system is only as good as its lock manager; keep these folders on local disk.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from backout import launcher

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_LOCK_WAIT_S = 0.3
_children: dict[int, subprocess.Popen[bytes]] = {}


class Holder(NamedTuple):
    """Who holds a lock.

    Attributes:
        pid: The launcher's pid, which is also its session and, for a service, the service's pid; None
            in the first milliseconds of a start.
        label: What the starter called it; None in the first microseconds of a start.
    """

    pid: int | None
    label: str | None


class Answer(NamedTuple):
    """What a short command answered.

    Attributes:
        exit: Its exit status (negative: ended by that signal); None if it was ended at the deadline or
            could not be started.
        output: Its standard output.
        trouble: Its standard error, or why it could not be started.
    """

    exit: int | None
    output: str
    trouble: str
    timed_out: bool = False


def spawn(
    command: Sequence[str],
    *,
    lock: Path,
    pid_file: Path,
    log: Path,
    cwd: Path,
    env: Mapping[str, str],
    status: Path | None = None,
    label: str = "",
    secrets: Iterable[str] = (),
) -> int | None:
    """Start the command detached, unless the lock is held.

    Args:
        command: Program and arguments; a relative program with a slash starts at `cwd`.
        lock: Held as long as the command runs; its folder is made.
        cwd: Folder that the command starts in.
        env: The command's whole environment.
        pid_file: Gets the command's pid, atomically.
        log: Gets standard output and error, appended.
        status: Makes it a job: gets the exit status when the command ends.
        label: Kept with the lock, for `holder`.
        secrets: Cut out of what a job prints before it reaches the log; a service's output is its own.

    Returns:
        The launcher's pid, or None if somebody else holds the lock: nothing was started.

    Raises:
        OSError: A folder is missing or not writable; nothing was started.

    Idempotent: while the command runs, a second call starts nothing.
    """
    import subprocess

    held = _take(lock, label)
    if held is None:
        return None
    try:
        for stale in (pid_file, status):
            if stale is not None:
                stale.parent.mkdir(parents=True, exist_ok=True)
                stale.unlink(missing_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        script = [sys.executable, "-I", "-S", launcher.__file__, str(held), label or "-"]
        script.append(os.path.abspath(pid_file))  # noqa: PTH100
        script += [os.path.abspath(status)] if status else ["--", *command]  # noqa: PTH100
        with open(log, "ab", opener=_private) as out:
            child = subprocess.Popen(
                script,
                stdin=subprocess.PIPE if status else subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=cwd,
                env=_bare_env() if status else dict(env),
                pass_fds=(held,),
                start_new_session=True,
            )
    finally:
        os.close(held)
    _children[child.pid] = child
    if child.stdin is not None:
        told = {"command": list(command), "env": dict(env), "secrets": list(secrets)}
        with suppress(BrokenPipeError), child.stdin:  # a launcher that is gone has started nothing
            child.stdin.write(json.dumps(told).encode() + b"\n")
    return child.pid


def holder(lock: Path) -> Holder | None:
    """Return who holds the lock, or None if nobody does; changes nothing."""
    try:
        fd = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid, _, label = os.pread(fd, 4096, 0).decode(errors="replace").partition("\n")
        return Holder(int(pid) if pid.isdecimal() else None, label.strip() or None)
    finally:
        os.close(fd)
    return None


def exit_status(pid: int) -> int | None:
    """Return the exit status of a launcher that this very process started, if it has ended."""
    child = _children.get(pid)
    return child.poll() if child else None


def tail(log: Path, *, lines: int = 12, since: int = 0) -> str:
    """Return the last lines of a log, looking only at what was written after byte `since`."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = since if since <= size else 0  # the log was rotated or cut meanwhile
            file.seek(max(start, size - 16_384))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(line.rstrip() for line in text.splitlines()[-lines:]).strip()


def size_of(log: Path) -> int:
    """Return the size of a log in bytes; 0 if there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def ask(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float) -> Answer:
    """Run a short command that only looks, and end it (with its process group) at the deadline.

    Asked from a background thread that nobody waits for any more, it ends with this process.
    """
    import atexit
    import subprocess
    from functools import partial

    try:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=dict(env),
            start_new_session=True,
        )
    except OSError as error:
        return Answer(None, "", f"{command[0]}: {error.strerror or error}")
    kill = partial(_kill, child)
    atexit.register(kill)
    try:
        output, trouble = child.communicate(timeout=timeout_s)
        return Answer(child.returncode, output.decode(errors="replace"), trouble.decode(errors="replace"))
    except subprocess.TimeoutExpired:
        return Answer(None, "", f"no answer within {timeout_s:g} s", timed_out=True)
    finally:
        _end(child)
        atexit.unregister(kill)


class Job:
    """One command that must never run twice at the same time, with its files in one folder.

    Args:
        folder: Keeps lock, pid, log and exit status; made when first needed, readable by its owner only.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self._lock, self._pid, self._status = folder / "lock", folder / "pid", folder / "status"

    def start(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        label: str,
        secrets: Iterable[str] = (),
    ) -> bool:
        """Start the command; False if one runs already (then nothing is done).

        What it prints goes to `log` without the secrets, also when this process has ended meanwhile.

        Raises:
            OSError: The folder is not writable; nothing was started.
        """
        if self.running():
            return False
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.log.unlink(missing_ok=True)
        files = {"lock": self._lock, "pid_file": self._pid, "log": self.log, "status": self._status}
        return spawn(command, cwd=cwd, env=env, label=label, secrets=secrets, **files) is not None

    def running(self) -> bool:
        """Return whether the command, or the launcher that waits for it, is still there."""
        if holder(self._lock) is not None:
            return True
        return self.exit() is None and self._alive()

    def forget(self) -> None:
        """Drop what is noted of the last command; only to be called when none runs."""
        for file in (self._pid, self._status):
            file.unlink(missing_ok=True)

    def label(self) -> str | None:
        """Return the label of the command that runs now."""
        held = holder(self._lock)
        return held.label if held else None

    def exit(self) -> int | None:
        """Return the last command's exit status; None while it runs, or if nobody was left to note it."""
        try:
            return int(self._status.read_text())
        except (OSError, ValueError):
            return None

    def _alive(self) -> bool:
        # Only when the launcher itself was killed: the command may go on without it.
        try:
            pid, noted_at = int(self._pid.read_text()), self._pid.stat().st_mtime
        except (OSError, ValueError):
            return False
        import psutil

        try:
            process = psutil.Process(pid)
            return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= noted_at + 2
        except psutil.Error:
            return False


def _take(lock: Path, label: str) -> int | None:
    import time

    lock.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Somebody who only looks (`holder`) has it for microseconds; a running command has it for long.
            if time.monotonic() < deadline:
                time.sleep(0.01)
                continue
            os.close(fd)
            return None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"\n{label}\n".encode(), 0)
        return fd


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with suppress(ProcessLookupError):  # the other thread was quicker
            os.killpg(child.pid, signal.SIGKILL)  # its own group: it was started in a new session


def _end(child: subprocess.Popen[bytes]) -> None:
    _kill(child)
    child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def _bare_env() -> dict[str, str]:
    # What a Python may need to start at all; the command's own environment is told to it, and to nobody else.
    return {k: v for k, v in os.environ.items() if k in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")}


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o640)
