"""nginx's processes on this machine, and their connections, as the kernel tells them.

After a reload new workers take all new connections. The old ones close their listening ports and go on with what they have: their
title then says ``worker process is shutting down``.

Source: Linux proc(5): stat (4 ppid, 22 starttime), fd, net/tcp (state 0A: LISTEN); nginx 1.22, ngx_process_cycle.c: titles, and QUIT
to old workers 100 ms after new ones were started.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
import time
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_LISTENS, _ENDS = "0A", "is shutting down"
_MASTER, _WORKER = "nginx: master process", "nginx: worker process"
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_SETTLED_S = 1.0
_ONE_START_S = 0.08
_TOLD_WITHIN_S = 0.02
"""When a process was started is told in hundredths of a second."""


class Unreadable(Exception):
    """What runs, or what it is connected with, cannot be read; the reason is the text."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker.

    Attributes:
        started_s: In seconds since the machine's start.
        ends: It takes no connections any more.
    """

    pid: int
    started_s: float
    ends: bool


@dataclass(frozen=True, slots=True)
class Inside:
    """What a worker is connected with.

    Attributes:
        servers: How many connections it has to each server that was asked for.
        undecided: Clients' connections that have none to a server, of whatever service: a request that is still being
            read may go to any side that this worker knows. It is not seen while another client of the worker has several
            connections to servers (HTTP/2, ``mirror``), or has one and came over a UNIX socket or HTTP/3.
    """

    servers: dict[str, int]
    undecided: int


def master(pid_file: Path) -> int:
    """Return the pid of nginx's master.

    Raises:
        Unreadable: There is none, or two: an upgrade of nginx's program is under way.
    """
    if not (PROC / "self" / "stat").exists():
        raise Unreadable("there is no /proc, as Linux has it")
    try:
        told = pid_file.read_text().strip()
    except OSError as error:
        raise Unreadable(f"{pid_file}: {error.strerror}") from error
    if not told.isdecimal() or not _title(int(told)).startswith(_MASTER):
        raise Unreadable(f"{pid_file} names no master of nginx: {told[:40] or 'it is empty'}")
    if _may_serve(pid_file.with_name(f"{pid_file.name}.oldbin")):
        raise Unreadable(
            f"{pid_file}.oldbin is there: a second master serves, an upgrade of nginx is under way"
        )
    return int(told)


def _may_serve(pid_file: Path) -> bool:
    """Tell whether a pid file is there and its master not known to have ended: killed, it leaves the file behind."""
    try:
        told = pid_file.read_text().strip()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return not told.isdecimal() or _title(int(told)).startswith(_MASTER)


def workers(of: int) -> list[Worker]:
    """Return a master's workers; raises Unreadable when it has ended."""
    found = []
    for name in os.listdir(PROC):  # noqa: PTH208
        if name.isdecimal() and (stat := _stat(int(name))) is not None and int(stat[1]) == of:
            title = _title(int(name))
            if title.startswith(_WORKER):
                found.append(Worker(int(name), _started_s(stat), title.endswith(_ENDS)))
    if _stat(of) is None:
        raise Unreadable(f"the master {of} has ended")
    return found


def strays(of: int) -> list[Worker]:
    """Return the workers of nginx that end, and whose master has ended before them: killed in an upgrade of nginx's program.

    Raises:
        Unreadable: One of them takes connections beside a master's own workers; no reload reaches it.
    """
    found = []
    for name in os.listdir(PROC):  # noqa: PTH208
        if not name.isdecimal() or not (title := _title(int(name))).startswith(_WORKER):
            continue
        if (stat := _stat(int(name))) is None or _title(int(stat[1])).startswith(_MASTER):
            continue
        if title.endswith(_ENDS):
            found.append(Worker(int(name), _started_s(stat), ends=True))
        elif (_sockets(int(name)) or set()) & (_sockets(of) or set()):
            raise Unreadable(
                f"worker {name} has no master any more, and takes connections: no reload reaches it, `kill -QUIT {name}` ends it"
            )
    return found


def is_being_reloaded(found: Iterable[Worker]) -> bool:
    """Tell whether some who take connections may be older than the last reload: they are told to end soon after it."""
    starts = [one.started_s for one in found if not one.ends]
    if not starts or max(starts) - min(starts) < _ONE_START_S:
        return False
    return time.clock_gettime(time.CLOCK_BOOTTIME) - max(starts) < _SETTLED_S


def left_behind(found: Iterable[Worker], at_s: float) -> list[Worker]:
    """Return who takes connections and was started before a moment, where others were started after it: told to end, they did not.

    Args:
        found: Workers.
        at_s: The moment, in seconds since 1970.
    """
    booted_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    taking = [one for one in found if not one.ends]
    if all(booted_s + one.started_s < at_s for one in taking):
        return []
    return [one for one in taking if booted_s + one.started_s < at_s - _TOLD_WITHIN_S]


def insides(
    of: int, found: Iterable[Worker], servers: Iterable[str], listens_at: str | None = None
) -> dict[Worker, Inside]:
    """Return what each worker of a master is connected with; those that have ended meanwhile are left out.

    Raises:
        Unreadable: The kernel does not show this user whose connections are whose, or the master does not listen at an address:
            it is another nginx's.
    """
    wanted = tuple(servers)
    # Whose they are first: what is opened meanwhile belongs to a request whose client is counted.
    owners = {one: numbers for one in found if (numbers := _sockets(one.pid)) is not None}
    listening = _sockets(of)
    if listening is None:
        raise Unreadable(f"the master {of} has ended")
    table = list(_table(of, listening.union(*owners.values())))
    fronts = {own for number, own, _, listens in table if listens and number in listening}
    ports = {own.rpartition(":")[2] for own in fronts}
    if listens_at is not None and not fronts & _binding(listens_at):
        raise Unreadable(f"master {of} does not listen at {listens_at}: the pid file is another nginx's")
    told = {}
    for one, numbers in owners.items():
        own = [(here, there) for number, here, there, listens in table if number in numbers and not listens]
        clients = sum(here.rpartition(":")[2] in ports for here, _ in own)
        counts = {server: sum(there == server for _, there in own) for server in wanted}
        told[one] = Inside(counts, max(0, clients - (len(own) - clients)))
    return told


def _binding(address: str) -> set[str]:
    """Return what a socket may be bound to that takes connections to an address: nginx binds a wildcard alone if it has one."""
    port = address.rpartition(":")[2]
    return {address, f"0.0.0.0:{port}", f"[::]:{port}"}


def is_alive(worker: Worker) -> bool:
    """Tell whether a worker still runs, and not another process with its pid."""
    stat = _stat(worker.pid)
    return stat is not None and _started_s(stat) == worker.started_s


def takes(worker: Worker) -> bool:
    """Tell whether a worker still runs, and takes connections."""
    return is_alive(worker) and not _title(worker.pid).endswith(_ENDS)


def _stat(pid: int) -> list[str] | None:
    """Return the fields from the state (3) on; None: there is no such process, or it has ended and waits to be collected."""
    try:
        # All processes are looked at, again and again: without the detour of a Path.
        with open(f"{PROC}/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    except PermissionError as error:
        raise Unreadable(f"{PROC}/{pid}/stat: {error.strerror}") from error
    return None if fields[0] in "ZX" else fields


def _started_s(stat: list[str]) -> float:
    return int(stat[19]) / os.sysconf("SC_CLK_TCK")


def _title(pid: int) -> str:
    try:
        with open(f"{PROC}/{pid}/cmdline", "rb") as file:  # noqa: PTH123
            return file.read().split(b"\0")[0].decode(errors="replace").strip()
    except OSError:
        return ""


def _sockets(pid: int) -> set[int] | None:
    """Return the inodes of a process's sockets; None: it has ended."""
    found = set()
    try:
        for entry in (PROC / str(pid) / "fd").iterdir():
            with suppress(FileNotFoundError):  # It was closed meanwhile.
                if match := _SOCKET.fullmatch(str(entry.readlink())):
                    found.add(int(match[1]))
    except OSError as error:
        if _stat(pid) is None:
            return None
        raise Unreadable(f"connections of nginx's process {pid}: {error.strerror}") from error
    return None if _stat(pid) is None else found


def _table(pid: int, wanted: Container[int]) -> Iterator[tuple[int, str, str, bool]]:
    """Yield some TCP sockets of a process's network: inode, own and other address, and whether it listens."""
    for name in ("tcp", "tcp6"):
        path = PROC / str(pid) / "net" / name
        try:
            lines = path.read_text().splitlines()[1:]
        except OSError as error:
            if name == "tcp6" and isinstance(error, FileNotFoundError):
                return  # A kernel without IPv6.
            raise Unreadable(f"{path}: {error.strerror}") from error
        for line in lines:
            fields = line.split()
            if int(fields[9]) in wanted:
                yield int(fields[9]), _address(fields[1]), _address(fields[2]), fields[3] == _LISTENS


def _address(told: str) -> str:
    """Return IP:PORT of the kernel's ``0100007F:1F41``: 32 bit words in the machine's order."""
    words, _, port = told.partition(":")
    packed = b"".join(
        int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8)
    )
    address = ipaddress.ip_address(packed)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return f"[{address}]:{int(port, 16)}"
        address = address.ipv4_mapped
    return f"{address}:{int(port, 16)}"
