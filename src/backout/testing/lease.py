"""What every place that keeps a lease promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from backout.platforms.base import Lease, LeaseStore


def lease_of(generation: int, *, run: str | None = "run-a") -> Lease:
    """Return a lease for tests."""
    now = datetime.now(UTC)
    return Lease(
        generation=generation,
        run=run,
        holder="ops@here",
        process="boot:1:1",
        acquired_at=now,
        expires_at=now + timedelta(seconds=30),
    )


def check_lease_store(store: LeaseStore) -> None:
    """Assert compare-and-set; the store must be empty at first."""
    assert store.read() is None
    first, second = lease_of(1), lease_of(2)
    assert not store.swap(1, first), "compared with nothing, and wrote"
    assert store.swap(None, first) and store.read() == first
    assert not store.swap(None, second), "there was a lease, and it was overwritten"
    assert store.swap(1, first.model_copy(update={"reason": "renewed"})), "renewing keeps the generation"
    assert store.swap(1, second) and store.read() == second
    assert not store.swap(1, first), "an old owner wrote"
    assert store.read() == second
