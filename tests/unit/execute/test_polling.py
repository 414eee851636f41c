"""How often a step that goes on is looked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.execute.runner import POLL_S, poll_after_s


@pytest.mark.parametrize(("waited_s", "after_s"), [(0.0, POLL_S), (2.0, POLL_S), (10.0, 0.2), (3600.0, 0.5)])
def test_what_takes_long_is_looked_at_less_often(waited_s: float, after_s: float) -> None:
    assert poll_after_s(waited_s) == pytest.approx(after_s)


@given(st.floats(0, 1e6))
def test_the_end_is_seen_two_per_cent_late_at_most_and_half_a_second(waited_s: float) -> None:
    assert POLL_S <= poll_after_s(waited_s) <= max(POLL_S, min(0.5, 0.02 * waited_s))
