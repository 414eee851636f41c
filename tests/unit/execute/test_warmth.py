"""Since when a side gets no requests, and until when it is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from backout.execute.warmth import kept, since
from backout.observed import Answer, SideNow

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
EARLIER, LATER = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
BLUE = SideNow(
    name="blue", version="v1", not_ready=None, share=0, admits=False, healthy=Answer.UNKNOWN, inside=0
)


@pytest.mark.parametrize(
    ("lost", "own", "serving", "told"),
    [
        # A run, or a stop, took its requests.
        (NOON, EARLIER, None, NOON),
        (NOON, None, None, NOON),
        # By hand, and what serves was recorded then.
        (None, EARLIER, NOON, NOON),
        (EARLIER, EARLIER, NOON, NOON),
        # What is on it was recorded later than it lost any: it lost them again, and nobody noted when.
        (EARLIER, NOON, None, None),
        (EARLIER, NOON, EARLIER, None),
        # It never had any that is known.
        (None, None, NOON, None),
        (None, NOON, EARLIER, None),
        (None, None, None, None),
    ],
)
def test_what_is_not_known_is_not_guessed(lost, own, serving, told):
    assert since(lost, own, serving) == told


@pytest.mark.parametrize(
    ("lost", "way_back", "now", "over"),
    [
        (NOON, True, NOON + timedelta(minutes=59), False),
        (NOON, True, LATER, True),
        (None, True, LATER, False),
        (None, False, NOON, True),
        (NOON, False, NOON, True),
    ],
)
def test_it_is_kept_for_its_window_unless_it_was_backed_out(lost, way_back, now, over):
    assert kept(BLUE, lost, 3600, way_back=way_back).is_over(now) is over
