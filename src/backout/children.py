"""Processes of a demo, known by name in a file, so that they can be ended also by somebody else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

_ENV_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")


class Children:
    """Starts processes that end with their owner, whatever happens to it.

    Each has its own session, so that Ctrl-C reaches only the owner, which then ends them in order. Should
    the owner be killed, a keeper (this file, run as a program) notices and ends them.

    Args:
        directory: Holds ``<name>.json`` (pid and start) and ``<name>.log``; created.
        pid_files: Of processes that others start; the keeper ends those too.
    """

    def __init__(self, directory: Path, pid_files: Sequence[Path] = ()) -> None:
        self.directory = directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._signals: dict[str, int] = {}
        directory.mkdir(parents=True, exist_ok=True)
        self._keeper = subprocess.Popen(
            [sys.executable, "-P", __file__, str(directory), *map(str, pid_files)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stop_signal: int = signal.SIGTERM,
        cwd: Path | None = None,
        switch: Mapping[str, Any] | None = None,
        leftover: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process under a name; its output goes to ``<name>.log``.

        Args:
            name: Must not be running.
            argv: The command.
            env: Added to a few basics of the own environment.
            stop_signal: What asks it to end.
            cwd: Where it runs; default is the folder of the logs.
            switch: user, group and extra_groups for `subprocess.Popen`.
            leftover: Folder that the keeper deletes when the owner was killed.
        """
        with self._log(name).open("ab") as log:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**basic_env(), **(env or {})},
                cwd=cwd or self.directory,
                start_new_session=True,
                **(switch or {}),
            )
        self._running[name], self._signals[name] = process, stop_signal
        created = psutil.Process(process.pid).create_time()
        note = {
            "pid": process.pid,
            "created": created,
            "signal": int(stop_signal),
            "leftover": str(leftover) if leftover else None,
        }
        (self.directory / f"{name}.json").write_text(json.dumps(note))
        return process

    def alive(self, name: str) -> bool:
        """Whether the process of that name runs."""
        process = self._running.get(name)
        return process is not None and process.poll() is None

    def pid(self, name: str) -> int | None:
        """Return its pid, or None when it was not started."""
        process = self._running.get(name)
        return process.pid if process else None

    def log_tail(self, name: str, lines: int = 8) -> str:
        """Return the last lines of its output."""
        log = self._log(name)
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def stop(self, name: str, timeout_s: float = 10) -> int | None:
        """End a process, by force past the time; returns its exit status. Idempotent."""
        process = self._running.pop(name, None)
        status = None
        if process is not None:
            if process.poll() is None:
                process.send_signal(self._signals[name])
            try:
                status = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
        (self.directory / f"{name}.json").unlink(missing_ok=True)
        return status

    def close(self) -> None:
        """End all, the last started first, and the keeper. Idempotent."""
        for name in reversed(list(self._running)):
            self.stop(name)
        if self._keeper.stdin and not self._keeper.stdin.closed:
            self._keeper.stdin.close()
        self._keeper.wait()

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"


def basic_env() -> dict[str, str]:
    """Return the few variables that a child needs; PG* and secrets of the own environment stay out."""
    kept = {key: os.environ[key] for key in _ENV_KEPT if key in os.environ}
    if "PYTHONPATH" in kept:  # Relative folders in it mean something only here.
        kept["PYTHONPATH"] = os.pathsep.join(
            str(Path(p).resolve()) for p in kept["PYTHONPATH"].split(os.pathsep)
        )
    return kept


def end(pid: int, created: float | None, number: int = signal.SIGTERM, timeout_s: float = 10) -> None:
    """End a process that need not be a child; past the time by force. Idempotent.

    Args:
        pid: Its pid.
        created: Its start in seconds since the epoch; another process with this pid is left alone.
            None: whichever has the pid.
        number: The signal that asks it to end.
        timeout_s: How long it may take to obey, in seconds.
    """
    try:
        process = psutil.Process(pid)
        if created is not None and abs(process.create_time() - created) > 1:
            return
        process.send_signal(number)
        deadline = time.monotonic() + timeout_s
        # A zombie has ended; in some containers it takes seconds until somebody collects it.
        while process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                process.kill()
                deadline += timeout_s
            time.sleep(0.01)
    except psutil.NoSuchProcess:
        return


def reap(directory: Path, pid_files: Sequence[Path] = ()) -> None:
    """End what is noted in a folder of `Children` and in pid files. Idempotent."""
    for file in pid_files:
        # A pid file is older than nothing: a process that started after it was written is a stranger.
        if file.exists() and (text := file.read_text().strip()).isdecimal() and psutil.pid_exists(int(text)):
            created = psutil.Process(int(text)).create_time()
            if created <= file.stat().st_mtime + 1:
                end(int(text), created)
    notes = sorted(directory.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in notes:
        note = json.loads(file.read_text())
        end(note["pid"], note["created"], note["signal"])
        if note["leftover"]:
            shutil.rmtree(note["leftover"], ignore_errors=True)
        file.unlink(missing_ok=True)


def _keep() -> int:
    """Wait until the owner is gone, then end what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 1):
        pass
    directory = Path(sys.argv[1])
    time.sleep(0.05)  # An owner that closed in order has nothing left to end: the notes are gone.
    if directory.exists():
        reap(directory, [Path(argument) for argument in sys.argv[2:]])
    return 0


if __name__ == "__main__":
    sys.exit(_keep())
