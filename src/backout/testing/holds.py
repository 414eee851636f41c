"""What every means of holding promises, as a function to call from tests."""

from __future__ import annotations

from collections.abc import Callable

from backout.holds.base import HoldMeans
from backout.observed import Answer

DEADLINE_S = 10.0


def check_hold(means: HoldMeans, mode: str, *, snapshot: Callable[[], object] = lambda: None) -> None:
    """Assert hold and release, each twice, and that the target is as it was; nothing may be held at first.

    Args:
        means: The means of holding.
        mode: One of its modes.
        snapshot: Returns the target's state, comparable, as far as holding changes it.
    """
    before, prior_state = snapshot(), means.observe(DEADLINE_S)
    assert prior_state.name == means.name and mode in prior_state.modes
    assert prior_state.held is Answer.NO and prior_state.mode is None
    assert means.observe(DEADLINE_S) == prior_state and snapshot() == before, "observing changed something"
    for _ in range(2):
        means.hold(mode)
        held = means.observe(DEADLINE_S)
        assert held.held is Answer.YES and held.mode == mode
    for _ in range(2):
        means.release(prior_state.prior)
        assert means.observe(DEADLINE_S).held is Answer.NO
    assert snapshot() == before, "the target is not as it was"
    for commands in (means.by_hand(mode, prior_state.prior), means.by_hand(None, prior_state.prior)):
        assert commands and all(c.strip() for c in commands)
