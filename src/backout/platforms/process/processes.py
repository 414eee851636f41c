"""Which processes are this service's, told without guessing: a pid alone proves nothing."""

from __future__ import annotations

import os
import shlex
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from backout.errors import TargetUnreachable
from backout.launch import Holder, holder
from backout.message import msg
from backout.platforms.process.options import Layout

if TYPE_CHECKING:
    import psutil

_CLOCK_SLACK_S = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """One process of the service, main process of its kind.

    Attributes:
        created: When it started, in seconds since the epoch: with the pid it names the process for good.
        ref: The release that it runs.
        by: Who started it: backout's launcher (it holds the lock), or somebody who wrote the pid file.
        others: Further processes of the launcher's session.
    """

    pid: int
    created: float
    ref: str
    by: Literal["launcher", "pid file"]
    others: tuple[int, ...] = ()


def find(layout: Layout) -> tuple[Found, ...]:
    """Return the service's processes: those under the launcher's lock, then the pid file's.

    A process counts as ours by the pid file only if it is older than the file (else the pid was reused)
    and works in, or was executed from, a folder below `releases`.

    Raises:
        TargetUnreachable: A process is there and it cannot be told whether it is ours.
    """
    found = [*_under_lock(layout), *_by_pid_file(layout)]
    return tuple({f.pid: f for f in reversed(found)}.values())[::-1]


def starting(layout: Layout) -> Holder | None:
    """Return who holds the service's lock: also in the moment before a pid is known."""
    return holder(layout.service_lock)


def send(process: Found, name: str, *, everyone: bool = False) -> bool:
    """Send a signal to the process (and its session or children); False if it is gone.

    The process is held by pid and start time, so a reused pid is never hit.
    """
    import psutil

    number = signal.Signals[f"SIG{name}"]
    reached = False
    for pid in (process.pid, *process.others) if everyone else (process.pid,):
        try:
            live = psutil.Process(pid)
            if pid == process.pid and abs(live.create_time() - process.created) > 0.05:
                continue
            family = live.children(recursive=True) if everyone else []
            for each in (live, *family):
                each.send_signal(number)
                reached = True
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            raise _not_allowed(pid, name) from None
    return reached


def _under_lock(layout: Layout) -> list[Found]:
    held = starting(layout)
    if held is None or held.pid is None or held.label is None:
        return []
    # The kernel gives a pid to nobody else while a session of that number exists; one does: the lock is held.
    members = _session(held.pid)
    if not members:
        return []
    first, *rest = sorted(members, key=lambda p: (p.pid != held.pid, p.pid))
    created = _created(first)
    if created is None:
        return []
    return [Found(first.pid, created, held.label, "launcher", tuple(p.pid for p in rest))]


def _session(sid: int) -> list[psutil.Process]:
    import psutil

    members = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) != sid:
                continue
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (OSError, psutil.Error):
            continue
    return members


def _by_pid_file(layout: Layout) -> list[Found]:
    import psutil

    try:
        pid = int(layout.pid_file.read_text().split()[0])
        noted_at = layout.pid_file.stat().st_mtime
        process = psutil.Process(pid)
        created = _created(process)
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return []
    if created is None or created > noted_at + _CLOCK_SLACK_S:
        return []
    ref = _release_of(process, layout)
    return [Found(pid, created, ref, "pid file")] if ref else []


def _created(process: psutil.Process) -> float | None:
    import psutil

    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def _release_of(process: psutil.Process, layout: Layout) -> str | None:
    import psutil

    refused = False
    for ask in (process.cwd, process.exe):
        try:
            ref = layout.ref_of(Path(ask()))
        except psutil.AccessDenied:
            refused = True
            continue
        except psutil.NoSuchProcess:
            return None
        if ref:
            return ref
    if refused:
        raise TargetUnreachable(
            msg(
                "Process {pid} of {file} belongs to another user: what it runs cannot be read",
                pid=process.pid,
                file=str(layout.pid_file),
            ),
            state=msg("Nothing was changed"),
            next_command=f"sudo readlink /proc/{process.pid}/cwd; ls -l {shlex.quote(str(layout.pid_file))}",
        )
    return None


def _not_allowed(pid: int, name: str) -> TargetUnreachable:
    return TargetUnreachable(
        msg("Process {pid} may not be sent {signal}: it belongs to another user", pid=pid, signal=name),
        state=msg("Process {pid} runs on", pid=pid),
        next_command=f"ps -o user,pid,args -p {pid}",
    )
