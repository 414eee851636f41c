"""Which migrations came after a release: by the release that they name, else by their time, with every later one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from backout.assess.migrations import made_after
from backout.migration import MigrationRecord
from backout.release import Release, ReleaseState

BEGUN = datetime(2026, 11, 26, 12, tzinfo=UTC)


def release(version: str, hour: int) -> Release:
    return Release(
        id=f"{version}-{hour}",
        service="collector",
        environment="production",
        version=version,
        deployed_at=BEGUN + timedelta(hours=hour),
        state=ReleaseState.GOOD,
        source="recorded",
    )


def migration(number: int, hour: float, of: str | None = None, state: str = "applied") -> MigrationRecord:
    return MigrationRecord(
        id=number,
        release=of,
        command="x",
        state=state,
        started_at=BEGUN + timedelta(hours=hour),
        ended_at=None,
    )


OLD, NEW = release("1.0.0", 10), release("2.0.0", 20)


@pytest.mark.parametrize(
    ("journal", "after"),
    [
        pytest.param([migration(1, 9, "1.0.0"), migration(2, 19, "2.0.0")], (2,), id="by the release"),
        pytest.param([migration(1, 9), migration(2, 19)], (2,), id="by the time"),
        pytest.param([migration(1, 19, "3.0.0")], (1,), id="of a release that was never deployed"),
        pytest.param([migration(1, 11, "1.0.0")], (), id="the target's own, run late"),
        pytest.param([migration(1, 9, "2.0.0")], (1,), id="of the later release, run early"),
        pytest.param([migration(1, 9, "2.0.0"), migration(2, 9.5)], (1, 2), id="with every later one"),
        pytest.param([migration(1, 19, state="undone")], (), id="taken back already"),
        pytest.param([migration(1, 19, state="finalized")], (1,), id="finalized"),
        pytest.param([migration(1, 9, "1.0.0"), migration(2, 19, state="running")], (2,), id="that runs"),
        pytest.param([], (), id="no journal"),
    ],
)
def test_what_came_after(journal: list[MigrationRecord], after: tuple[int, ...]) -> None:
    assert made_after(OLD, (NEW, OLD), journal) == after


def test_a_release_that_was_deployed_again_counts_by_its_newest_record() -> None:
    again, before = release("2.0.0", 30), release("2.0.0", 5)
    assert made_after(OLD, (again, OLD, before), [migration(1, 4, "2.0.0")]) == (1,)
