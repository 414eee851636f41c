from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.report.duration import age, duration, moment, span

NOW = datetime(2026, 11, 23, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0001, "1 ms"),
        (0.035, "35 ms"),
        (0.0999, "0.1 s"),
        (0.8, "0.8 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (12_000, "3 h 20 min"),
        (86_399, "1 d 0 h"),
        (12 * 86_400 + 4 * 3600, "12 d 4 h"),
        (-0.8, "-0.8 s"),
    ],
)
def test_a_duration_is_told_in_the_units_that_people_use(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e8))
def test_no_part_of_a_duration_is_ever_as_large_as_the_next_unit(seconds: float) -> None:
    text = duration(seconds)
    assert not re.search(r"\b60(\.0)? (s|min)\b|\b24 h\b|\b1\d{3,} ms\b", text), text


@given(st.floats(0.1, 1e8))
def test_a_duration_is_right_to_half_of_its_smallest_part(seconds: float) -> None:
    unit_s = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86_400}
    parts = re.findall(r"([\d.]+) (ms|s|min|h|d)", duration(seconds))
    told = sum(float(n) * unit_s[u] for n, u in parts)
    smallest = 0.1 if "." in duration(seconds) else unit_s[parts[-1][1]]
    assert abs(told - seconds) <= smallest / 2 + 1e-6


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(milliseconds=300), "just now"),
        (timedelta(seconds=59.9), "59 s ago"),
        (timedelta(minutes=59), "59 min ago"),
        (timedelta(hours=3, minutes=59), "3 h ago"),
        (timedelta(days=12, hours=23), "12 d ago"),
        (-timedelta(minutes=5), "5 min ahead of this clock"),
    ],
)
def test_an_age_is_rounded_down_to_one_unit(ago: timedelta, text: str) -> None:
    assert str(age(NOW - ago, NOW)) == text


def test_an_age_does_not_depend_on_the_time_zone() -> None:
    then = (NOW - timedelta(hours=3)).astimezone(timezone(timedelta(hours=9)))
    assert str(age(then, NOW)) == "3 h ago"
    assert moment(then) == "2026-11-23 00:04:05 UTC"


def test_a_span_has_one_unit() -> None:
    assert [span(s) for s in (0.5, 61, 7300, 200_000)] == ["0 s", "1 min", "2 h", "2 d"]
