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

CLOCK_SLACK_S = 2.0
"""How far a process's start may seem to move: the kernel counts from boot, and the clock may be set."""


@dataclass(frozen=True, slots=True)
class Found:
    """One process of the service, main process of its kind.

    Attributes:
        created: When it started, in seconds since the epoch: with the pid it names the process for good.
        ref: The release that it runs.
        by: How it is known: it holds the launcher's lock, somebody wrote the pid file, or a stop noted it
            as a child of the release's main process, which is gone.
        others: Further processes of the launcher's session.
    """

    pid: int
    created: float
    ref: str
    by: Literal["launcher", "pid file", "stop note"]
    others: tuple[int, ...] = ()


def find(layout: Layout) -> tuple[Found, ...]:
    """Return the service's processes: those under the launcher's lock, then the pid file's.

    A process counts as ours by the pid file only if it works in, or was executed from, a folder below
    `releases`, and is older than the file.

    Raises:
        TargetUnreachable: A process is there and it cannot be told whether it is ours.
    """
    locked = _under_lock(layout)
    known = {f.pid for f in locked}
    return (*locked, *(f for f in _by_pid_file(layout, known)))


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
    created = created_of(first)
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


def _by_pid_file(layout: Layout, known: set[int]) -> list[Found]:
    import psutil

    try:
        pid = int(layout.pid_file.read_text().split()[0])
        noted_at = layout.pid_file.stat().st_mtime
        process = psutil.Process(pid)
        created = created_of(process)
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return []
    if created is None or pid in known:
        return []
    if created > noted_at + CLOCK_SLACK_S:
        _refuse_unfitting(process, layout)
        return []
    ref = _release_of(process, layout)
    return [Found(pid, created, ref, "pid file")] if ref else []


def _refuse_unfitting(process: psutil.Process, layout: Layout) -> None:
    # A reused pid, or a restored file, or a clock that was set: only the folder tells which is harmless.
    try:
        ref = _release_of(process, layout)
    except TargetUnreachable:
        return  # another user's process, younger than the file: the pid was reused
    if ref is None:
        return
    file = shlex.quote(str(layout.pid_file))
    raise TargetUnreachable(
        msg(
            "Process {pid} works in release {ref}, but is younger than {file}, which names it: "
            "it cannot be told whether it is the service",
            pid=process.pid,
            ref=ref,
            file=str(layout.pid_file),
        ),
        state=msg("Process {pid} runs on; nothing was changed", pid=process.pid),
        next_command=f"ps -o pid,lstart,args -p {process.pid}  # if it is the service: touch {file}",
    )


def created_of(process: psutil.Process) -> float | None:
    """Return when a process started, in seconds since the epoch; None if it is gone or a zombie."""
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
