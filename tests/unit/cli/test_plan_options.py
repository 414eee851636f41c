"""What a person types about the backup to restore, as a request."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from backout.cli.plan import DataOptions, ScenarioChoice, request_of
from backout.errors import UsageError


def asked(scenario: ScenarioChoice = ScenarioChoice.FULL, **data: str | int) -> datetime | None:
    return request_of(None, scenario, None, False, None, DataOptions(**data)).at  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data", [{"backup": "b1"}, {"backup": ""}, {"at": "2026-11-23"}, {"max_loss_rows": 0}]
)
@pytest.mark.parametrize("scenario", [ScenarioChoice.CODE, ScenarioChoice.AUTO])
def test_what_is_said_of_a_backup_is_never_passed_over_in_silence(
    scenario: ScenarioChoice, data: dict[str, str | int]
) -> None:
    with pytest.raises(UsageError, match="belong to --scenario data or full"):
        asked(scenario, **data)


def test_a_ceiling_of_zero_reaches_the_request() -> None:
    request = request_of(None, ScenarioChoice.DATA, None, False, None, DataOptions(max_loss_rows=0))
    assert request.max_loss_rows == 0


def test_a_name_and_a_time_are_not_taken_together() -> None:
    with pytest.raises(UsageError, match="give one of them"):
        asked(backup="b1", at="2026-11-23T02:00")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-23T02:00", datetime(2026, 11, 23, 2, tzinfo=UTC)),
        ("2026-11-23T02:00:00+09:00", datetime(2026, 11, 22, 17, tzinfo=UTC)),
        ("2026-11-23T02:00Z", datetime(2026, 11, 23, 2, tzinfo=UTC)),
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(text: str, at: datetime) -> None:
    assert asked(at=text) == at


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00", "2026-11-23T25:00"]
)
def test_what_is_no_time_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be read as a time"):
        asked(at=text)
