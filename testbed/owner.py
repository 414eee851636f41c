"""Whose node runs on this machine: there can be one, because its addresses, rules and cgroup are fixed.

Two locks of the machine, dropped by the kernel when their holder ends: one for starting and stopping, one that
everybody who uses the node shares, so that nobody stops it under somebody else's tests.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.errors import TestbedFailed
from testbed.home import Home
from testbed.versions import NAME

_FOLDER = Path("/run") / NAME
_using: list[int] = []


@contextmanager
def changing(timeout_s: float = 180.0) -> Iterator[None]:
    """Keep others from starting or stopping the node meanwhile.

    Raises:
        TestbedFailed: Somebody else has been at it for too long.
    """
    fd = _open("lock")
    try:
        deadline = time.monotonic() + timeout_s
        while not _locked(fd, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                told = f"Somebody else has been starting or stopping the node for {timeout_s:g} s."
                raise TestbedFailed(told, next_command="scripts/testbed status")
            time.sleep(0.1)
        yield
    finally:
        os.close(fd)


def use(tell: Callable[[str], None], *, alone: bool = False, timeout_s: float = 900.0) -> None:
    """Note that this process uses the node, until it ends or lets go. Idempotent.

    Args:
        tell: Is told that it has to wait.
        alone: Nobody else may use it meanwhile: for tests that break parts of it.
        timeout_s: How long to wait for others to let go.

    Raises:
        TestbedFailed: They did not.
    """
    if not _using:
        _using.append(_open("users"))
    deadline, told_it = time.monotonic() + timeout_s, False
    while not _locked(_using[0], fcntl.LOCK_EX if alone else fcntl.LOCK_SH):
        if not told_it:
            tell(f"Waiting, {timeout_s:g} s at most, until others let go of the node ...")
            told_it = True
        if time.monotonic() > deadline:
            let_go()
            told = f"Somebody else has been using the node for {timeout_s:g} s."
            raise TestbedFailed(told, next_command="scripts/testbed status")
        time.sleep(0.1)


def let_go() -> None:
    """This process uses the node no more. Idempotent."""
    while _using:
        os.close(_using.pop())


def others_use_it() -> bool:
    """Return whether a process besides this one uses the node."""
    fd = _open("users")
    try:
        if not _using:
            return not _locked(fd, fcntl.LOCK_EX)
        # A lock that is already exclusive, or becomes it for a moment, says that there is nobody else.
        if _locked(fd, fcntl.LOCK_SH):
            fcntl.flock(fd, fcntl.LOCK_UN)
            alone = _locked(_using[0], fcntl.LOCK_EX)
            fcntl.flock(_using[0], fcntl.LOCK_SH)
            return not alone
        return False
    finally:
        os.close(fd)


def claim(home: Home) -> None:
    """Note whose the node is."""
    (_FOLDER / "home").write_text(str(home.root))


def owner() -> str | None:
    """Return the folder of the node that was started last and not stopped since."""
    try:
        return (_FOLDER / "home").read_text()
    except FileNotFoundError:
        return None


def disclaim() -> None:
    """Note that no node runs. Idempotent."""
    (_FOLDER / "home").unlink(missing_ok=True)


def _open(name: str) -> int:
    _FOLDER.mkdir(exist_ok=True, mode=0o700)
    return os.open(_FOLDER / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _locked(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
