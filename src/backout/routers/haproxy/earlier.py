"""Processes of HAProxy from before a reload: they end what they have, and its runtime API does not tell of them.

Source: HAProxy 2.6 management guide, 4 (reloading: -sf, -st), 7 (master-worker); Linux proc(5).
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc")
_ESTABLISHED = "01"

Address = tuple[str, int]


def is_haproxy(pid: int) -> bool:
    """Tell whether the process of that number on this machine is a HAProxy: in another container it is another one."""
    return _name(pid) == "haproxy"


def earlier(pid: int) -> tuple[int, ...]:
    """Return the earlier processes of the HAProxy whose runtime API answers, that are not at their end.

    Args:
        pid: The one that answers.
    """
    master = _parent(pid)
    found = set(_replaced(pid))
    if is_haproxy(master):
        # Every reload makes the master start itself anew, with -sf and its workers.
        found |= set(_children(master)) - {pid}
    return tuple(sorted(one for one in found if is_haproxy(one)))


def connections(pids: Iterable[int], servers: Iterable[Address]) -> Counter[Address] | None:
    """Return how many connections these processes have to servers; None: they do not let themselves be looked at."""
    found: Counter[Address] = Counter()
    wanted = set(servers)
    for pid in pids:
        try:
            links = [str(one.readlink()) for one in (_PROC / str(pid) / "fd").iterdir()]
            tables = [(_PROC / str(pid) / "net" / name).read_text() for name in ("tcp", "tcp6")]
        except FileNotFoundError:
            continue  # It has come to its end.
        except OSError:
            return None
        own = {link[8:-1] for link in links if link.startswith("socket:[")}
        rows = [line.split() for table in tables for line in table.splitlines()[1:]]
        found.update(
            address
            for row in rows
            if row[3] == _ESTABLISHED and row[9] in own and (address := _address(row[2])) in wanted
        )
    return found


def _address(words: str) -> Address:
    """Return address and port of proc's form: words of four bytes, each as the machine has it."""
    where, port = words.split(":")
    raw = b"".join(bytes.fromhex(where[at : at + 8])[::-1] for at in range(0, len(where), 8))
    ip = ipaddress.ip_address(raw)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip), int(port, 16)


def _children(pid: int) -> list[int]:
    try:
        # A tenth of the time that all processes take; not every kernel has it.
        told = [one.read_text() for one in (_PROC / str(pid) / "task").glob("*/children")]
    except OSError:
        told = []
    if told:
        return [int(one) for one in " ".join(told).split()]
    return [int(one.name) for one in _PROC.iterdir() if one.name.isdigit() and _parent(int(one.name)) == pid]


def _name(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _replaced(pid: int) -> list[int]:
    """Return whom its command line says that it takes over from."""
    try:
        words = (_PROC / str(pid) / "cmdline").read_text().split("\0")
    except OSError:
        return []
    at = next((at for at, word in enumerate(words) if word in ("-sf", "-st")), len(words))
    return [int(word) for word in words[at + 1 :] if word.isdigit() and int(word) != pid]
