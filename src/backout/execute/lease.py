"""One run per environment: a lease with a fencing token, kept at the target where the target can."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from backout.clock import Clock
from backout.errors import BackoutError, LeaseLost, RunInProgress
from backout.execute.owner import is_dead, this_process
from backout.execute.store import Store
from backout.faults import fault_point
from backout.message import msg
from backout.platforms.base import Lease, LeaseStore

TTL_S = 30.0


class StoreLease:
    """The lease in the state file, for platforms that have no place for one.

    It excludes other runs that use the same state file, and no others: docs/platforms/command.md says so.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self) -> Lease | None:
        """Return the lease, or None."""
        rows = self._store.rows("SELECT document FROM lease")
        return Lease.model_validate_json(str(rows[0][0])) if rows else None

    def swap(self, expected_generation: int | None, lease: Lease) -> bool:
        """Write the lease if the generation is the expected one."""
        with self._store.writing() as sql:
            row = sql.execute("SELECT generation FROM lease").fetchone()
            if (row[0] if row else None) != expected_generation:
                return False
            document = json.dumps(lease.model_dump(mode="json"))
            sql.execute("INSERT OR REPLACE INTO lease VALUES (1, ?, ?)", (lease.generation, document))
            return True


class HeldLease:
    """A lease in our hands: renewed in the background, checked before every effect, given back at the end.

    It is also the `Fence` that steps are given.
    """

    def __init__(self, store: LeaseStore, lease: Lease, clock: Clock, head: Callable[[], str | None]) -> None:
        self._store, self._lease, self._clock, self._head = store, lease, clock, head
        self._renewed_s = clock.monotonic_s()
        self._lost = False
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name="backout-lease", daemon=True)
        self._thread.start()

    @property
    def generation(self) -> int:
        """The fencing token."""
        return self._lease.generation

    def check(self) -> None:
        """Raise `LeaseLost` unless the lease is still ours, with time left on it."""
        now = self._store.read()
        stale = self._clock.monotonic_s() - self._renewed_s > TTL_S
        if self._lost or stale or now is None or now.generation != self.generation:
            other = now.holder if now is not None and now.generation != self.generation else "nobody"
            raise LeaseLost(
                msg("This environment was taken over by {other}.", other=other),
                state=msg("This process stopped acting; the other one goes on."),
                next_command="backout status",
            )

    def release(self) -> None:
        """Give the lease back, so that the next run need not wait for it to expire. Idempotent.

        Where the target does not take it, the lease runs out by itself: how the run ended stays what it was.
        """
        self._end.set()
        self._thread.join(timeout=5.0)
        with self._lock, suppress(BackoutError, OSError):
            head = self._lease.journal_head
            with suppress(
                BackoutError
            ):  # A state file that broke meanwhile must not keep others from acting.
                head = self._head()
            free = self._lease.model_copy(
                update={"run": None, "expires_at": self._clock.now(), "journal_head": head}
            )
            fault_point("lease.release.before")
            self._store.swap(self.generation, free)
            fault_point("lease.release.after")

    def _keep(self) -> None:
        while not self._end.wait(TTL_S / 3):
            try:
                with self._lock:
                    if self._end.is_set():
                        return
                    renewed = self._lease.model_copy(
                        update={"expires_at": self._clock.now() + timedelta(seconds=TTL_S)}
                    )
                    if not self._store.swap(self.generation, renewed):
                        self._lost = True
                        return
                    self._lease, self._renewed_s = renewed, self._clock.monotonic_s()
            except (BackoutError, OSError):
                # The target does not answer: `check` refuses to act once the time on the lease has run out.
                continue


def acquire(
    store: LeaseStore,
    clock: Clock,
    *,
    run: str,
    actor: str,
    take_over: str | None,
    head: Callable[[], str | None],
) -> HeldLease:
    """Take the lease for a run.

    Free, expired, or held by a process of this machine that ended: taken at once. Held by anybody else:
    only with `take_over`, the reason, which is written into the lease.

    Raises:
        RunInProgress: Somebody else acts.
    """
    for _ in range(5):
        found = store.read()
        now = clock.now()
        free = found is None or found.run is None or found.expires_at <= now or is_dead(found.process)
        if found is not None and not free and take_over is None:
            raise in_progress(found)
        lease = Lease(
            generation=found.generation + 1 if found else 1,
            run=run,
            holder=actor,
            process=this_process(),
            acquired_at=now,
            expires_at=now + timedelta(seconds=TTL_S),
            reason=take_over,
            journal_head=head(),
        )
        fault_point("lease.take.before")
        if store.swap(found.generation if found else None, lease):
            fault_point("lease.take.after")
            return HeldLease(store, lease, clock, head)
    found = store.read()
    assert found is not None
    raise in_progress(found)


def in_progress(lease: Lease) -> RunInProgress:
    """Return the error that says who acts, and how to follow or take over."""
    return RunInProgress(
        msg(
            "{holder} is acting on this environment (run {run}, since {since}).",
            holder=lease.holder,
            run=lease.run,
            since=f"{lease.acquired_at:%H:%M:%S UTC}",
        ),
        state=msg("This command changed nothing."),
        next_command=f"backout status {lease.run} --follow   # or take over: backout resume {lease.run} --take-over --reason '…'",
    )
