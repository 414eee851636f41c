"""History and releases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from backout.errors import ExitCode
from backout.execute.run import Run
from backout.release import Release, ReleaseState
from backout.report.history import history_rows
from backout.report.releases import release_lines

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "ended", "tone", "exit_code", "open_"),
    [
        ("created", "Not started", "calm", None, True),
        ("cut short", "Running or cut short", "warn", None, True),
        ("stopped", "Stopped safely", "warn", ExitCode.STOPPED, True),
        ("unknown", "Outcome unknown", "bad", ExitCode.OUTCOME_UNKNOWN, True),
        ("interrupted", "Interrupted", "warn", ExitCode.INTERRUPTED, True),
        ("resumed", "Done and proven", "good", ExitCode.DONE, False),
        ("aborted", "Undone", "calm", None, False),
        ("emergency", "Done, not proven yet", "warn", ExitCode.INCONCLUSIVE, False),
        ("pass", "Done and proven", "good", ExitCode.DONE, False),
        ("fail", "Done, proof failed", "bad", ExitCode.PROOF_FAILED, False),
        ("inconclusive", "Done, not proven yet", "warn", ExitCode.INCONCLUSIVE, False),
        ("verified later", "Done and proven", "good", ExitCode.DONE, False),
    ],
)
def test_history_tells_how_each_run_ended(
    told: dict[str, Run], name: str, ended: str, tone: str, exit_code: ExitCode | None, open_: bool
) -> None:
    (row,) = history_rows([told[name]], NOW)
    assert (str(row.ended), row.tone, row.exit_code, row.open) == (ended, tone, exit_code, open_)
    assert (str(row.purpose), row.from_version, row.to_version, row.actor) == (
        "take back",
        "5.5.0",
        "5.4.0",
        "ana@laptop",
    )
    assert (row.seconds is None) == open_
    assert row.emergency == (name == "emergency")


def test_history_is_newest_first(told: dict[str, Run]) -> None:
    old = told["pass"].model_copy(update={"id": "old", "created_at": NOW - timedelta(days=12)})
    new = told["fail"].model_copy(update={"id": "new", "created_at": NOW - timedelta(hours=3)})
    rows = history_rows([old, new], NOW)
    assert [(r.run, str(r.age)) for r in rows] == [("new", "3 h ago"), ("old", "12 d ago")]


@dataclass(frozen=True)
class Row:
    release: Release
    current: bool = False
    quarantined: str | None = None


def _release(**changes: object) -> Release:
    values = {
        "id": "rel-1",
        "service": "collector",
        "environment": "production",
        "version": "5.5.0",
        "deployed_at": NOW - timedelta(hours=3),
        "deployed_by": "ana",
        "commit": "0123456789abcdef",
        "subject": "reports: faster",
        "state": ReleaseState.BAD,
    }
    return Release.model_validate(values | changes)


def test_a_release_is_shown_as_a_deployments_page_does() -> None:
    (line,) = release_lines([Row(_release(), current=True, quarantined="errors")], NOW)
    assert (line.version, str(line.age), line.state) == ("5.5.0", "3 h ago", ReleaseState.BAD)
    assert [str(m) for m in line.marks] == ["current", "quarantined"]
    assert (line.commit, line.subject, line.by, line.why) == ("01234567", "reports: faster", "ana", "errors")


def test_what_is_not_known_of_a_found_release_is_empty_and_its_age_unknown() -> None:
    began = datetime(1970, 1, 1, tzinfo=UTC)
    found = _release(commit=None, subject=None, deployed_by=None, source="found", deployed_at=began)
    (line,) = release_lines([Row(found)], NOW)
    assert (str(line.age), line.commit, line.subject, line.by, line.why) == ("unknown", "", "", "", "")
    assert [str(m) for m in line.marks] == ["found"]


def test_releases_keep_their_order() -> None:
    rows = [Row(_release(version=v)) for v in ("3", "1", "2")]
    assert [line.version for line in release_lines(rows, NOW)] == ["3", "1", "2"]
