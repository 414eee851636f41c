"""How long the API server is waited for."""

from __future__ import annotations

from datetime import datetime

from backout.kubernetes.patience import Patience


class Hand:
    """A clock that stands at a moment."""

    def __init__(self, at_s: float) -> None:
        self.at_s = at_s

    def now(self) -> datetime:
        raise NotImplementedError

    def monotonic_s(self) -> float:
        return self.at_s

    def wait(self, seconds: float) -> None:
        self.at_s += seconds


def test_each_question_has_its_own_time() -> None:
    patience = Patience(Hand(100.0))
    assert (patience.end_s(20.0), patience.try_s(5.0)) == (120.0, 5.0)
    assert patience.try_s(0.0) == 0.1, "no try is so short that nobody could answer"


def test_in_a_hurry_all_end_at_one_moment() -> None:
    clock = Hand(100.0)
    patience = Patience(clock)
    patience.hurry(1.5)
    assert (patience.end_s(20.0), patience.end_s(0.5), patience.try_s(5.0)) == (101.5, 100.5, 1.5)
    clock.wait(1.0)
    assert (patience.end_s(20.0), patience.try_s(5.0)) == (101.5, 0.5)
    clock.wait(5.0)
    assert (patience.end_s(20.0), patience.try_s(5.0)) == (101.5, 0.02)
    patience.hurry(None)
    assert (patience.end_s(20.0), patience.try_s(5.0)) == (126.0, 5.0)
