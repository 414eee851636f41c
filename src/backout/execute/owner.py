"""Which process owns a lease, named so that another one can tell that it ended, and never takes it for another."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import NamedTuple

_UNKNOWN = "-"
_PROC = Path("/proc")
_ENDED = ("Z", "X")
"""States of a process that ended and was not waited for yet, and of one that is going."""


class Owner(NamedTuple):
    """A process.

    Attributes:
        boot: The kernel's boot id: one machine, since it started. Source: random(4).
        spaces: Inodes of its pid and time namespaces: two containers share a boot id, and count processes
            apart. Source: namespaces(7).
        start: When it began, in clock ticks since the boot: a number is given to another process some day.
            Source: proc_pid_stat(5), field 22.
    """

    host: str
    boot: str
    spaces: str
    pid: str
    start: str


def this_process() -> str:
    """Return this process as the lease keeps it: ``host:boot:spaces:pid:start``; ``-`` where one cannot be told."""
    stat, pid = _stat(os.getpid()), str(os.getpid())
    return ":".join(Owner(*_here(), pid=pid, start=stat[1] if stat else _UNKNOWN))


def is_dead(process: str) -> bool:
    """Return whether a process of `this_process` form is known to have ended; False if it cannot be told.

    Only somebody who sees the very same processes can tell: on the same machine, since the same boot, in
    the same namespaces. Whoever else asks has to wait until the lease runs out.
    """
    owner, here = _read(process), _here()
    if owner is None or _UNKNOWN in here or here != (owner.host, owner.boot, owner.spaces):
        return False
    pid = int(owner.pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # It is there, and belongs to somebody else.
    stat = _stat(pid)
    if stat is None or owner.start == _UNKNOWN:
        return False
    return stat[0] in _ENDED or stat[1] != owner.start


def host_of(process: str) -> str:
    """Return the name of the machine that a process ran on; leases of earlier versions say less, and this too."""
    owner = _read(process)
    return owner.host if owner is not None else process.rsplit(":", 2)[0]


def _read(process: str) -> Owner | None:
    """Return the owner; None for ``host:pid:start`` of earlier versions: it may be another container's."""
    parts = process.rsplit(":", 4)
    return Owner(*parts) if len(parts) == 5 and parts[3].isdigit() else None


def _here() -> tuple[str, str, str]:
    return socket.gethostname(), _boot(), _spaces()


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip() or _UNKNOWN
    except OSError:
        return _UNKNOWN


def _spaces() -> str:
    try:
        pid = (_PROC / "self/ns/pid").stat().st_ino
    except OSError:
        return _UNKNOWN
    try:
        return f"{pid}.{(_PROC / 'self/ns/time').stat().st_ino}"
    except FileNotFoundError:
        return str(pid)  # Kernels before 5.6 have no time namespaces.
    except OSError:
        return _UNKNOWN


def _stat(pid: int) -> tuple[str, str] | None:
    """Return state and start of a process, or None where this `/proc` does not tell."""
    try:
        if (_PROC / "self").readlink().name != str(os.getpid()):
            return None  # Mounted from outside of this namespace: its numbers are other processes.
        text = (_PROC / str(pid) / "stat").read_text()
        # The name in parentheses may hold spaces and parentheses itself.
        fields = text.rpartition(")")[2].split()
        return fields[0], fields[19]
    except (OSError, IndexError):
        return None
