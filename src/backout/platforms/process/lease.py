"""The lease at the target: one file, compared and set under a lock; effects run under the same lock."""

from __future__ import annotations

import fcntl
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import ValidationError

from backout.clock import Clock
from backout.errors import LeaseLost, StoreUnreadable, TargetUnreachable
from backout.message import msg
from backout.platforms.base import Lease
from backout.platforms.process.files import disk_errors, write_atomically
from backout.platforms.process.options import Layout

if TYPE_CHECKING:
    from backout.plan.base import Acting

_LOCK_WAIT_S = 5.0


class FileLeaseStore:
    """Keeps the lease in ``<root>/.backout/lease.json``.

    Hazard: it protects against every backout on this machine. A root on a network file system is only as
    safe as that system's flock.
    """

    def __init__(self, layout: Layout, clock: Clock) -> None:
        self._layout = layout
        self._clock = clock
        self._path = layout.state / "lease.json"

    def read(self) -> Lease | None:
        """Return the lease as it stands, or None when there never was one.

        Raises:
            StoreUnreadable: The file is there and cannot be understood.
            TargetUnreachable: The file cannot be read.
        """
        with disk_errors(self._path):
            try:
                text = self._path.read_text(encoding="utf-8")
            except FileNotFoundError:
                return None
        try:
            return Lease.model_validate_json(text)
        except ValidationError:
            raise StoreUnreadable(
                msg("The lease {path} cannot be understood", path=str(self._path)),
                state=msg("It is not known who acts on this service; nothing was changed"),
                next_command=f"cat {shlex.quote(str(self._path))}",
            ) from None

    def swap(self, expected_generation: int | None, lease: Lease) -> bool:
        """Write the lease if the stored generation is the expected one; see `LeaseStore.swap`."""
        with target_lock(self._layout, self._clock):
            stored = self.read()
            if (stored.generation if stored else None) != expected_generation:
                return False
            with disk_errors(self._path):
                write_atomically(self._path, lease.model_dump_json())
            return True


@contextmanager
def fenced(layout: Layout, acting: Acting) -> Iterator[None]:
    """Let a short effect happen only while no newer owner stands at the target.

    Raises:
        LeaseLost: Another operator took over; nothing was done.
    """
    with target_lock(layout, acting.clock):
        stored = FileLeaseStore(layout, acting.clock).read()
        if stored is not None and stored.generation > acting.fence.generation:
            raise LeaseLost(
                msg(
                    "{holder} took this service over ({run})",
                    holder=stored.holder,
                    run=stored.run or "no run",
                ),
                state=msg("This step did nothing: the target refused it"),
                next_command="backout status",
            )
        acting.fence.check()
        yield


@contextmanager
def target_lock(layout: Layout, clock: Clock) -> Iterator[None]:
    """Hold the target's lock; it is kept for moments only, so waiting for it ends after 5 s."""
    path = layout.state / "lock"
    with disk_errors(path):
        layout.state.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = clock.monotonic_s() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if clock.monotonic_s() >= deadline:
                    raise TargetUnreachable(
                        msg(
                            "Another backout holds {path} for more than {wait_s} s",
                            path=str(path),
                            wait_s=_LOCK_WAIT_S,
                        ),
                        state=msg("Nothing was changed"),
                        next_command=f"fuser -v {shlex.quote(str(path))}",
                    ) from None
                clock.wait(0.01)
        yield
    finally:
        os.close(fd)
