"""What every place that keeps release records promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from backout.platforms.base import RecordStore
from backout.release import Release, ReleaseState


def release_of(number: int) -> Release:
    """Return a release record for tests."""
    return Release(
        id=f"rel-{number}",
        service="web",
        environment="production",
        version=f"v{number}",
        deployed_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number),
    )


def check_record_store(store: RecordStore) -> None:
    """Assert add, replace and order; the store must be empty at first."""
    assert store.read_records() == ()
    one, two = release_of(1), release_of(2)
    store.write_record(two)
    store.write_record(one)
    assert store.read_records() == (one, two), "oldest first"
    better = one.model_copy(update={"state": ReleaseState.GOOD})
    store.write_record(better)
    store.write_record(better)
    assert store.read_records() == (better, two), "replaced by id"
