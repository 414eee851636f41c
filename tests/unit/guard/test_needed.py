"""How many more requests it takes: an estimate, and one that is kept."""

from __future__ import annotations

import random

import numpy as np
import pytest

from backout.guard.errors import Compared
from backout.guard.latency import Timed, bucketed
from backout.guard.limits import Limited
from backout.guard.looks import Arm
from backout.guard.needed import for_durations, for_errors, for_limit


def arm(requests: int, errors: int = 0) -> Arm:
    return Arm(requests=requests, errors=errors)


@pytest.mark.parametrize("rate", [0.0, 0.005, 0.02])
def test_a_release_like_the_rest_is_fine_within_what_was_told(rate: float) -> None:
    """Told after 2,000 requests; kept by 8 of 10 or more, and no more than 5 times too many."""
    chance, kept = np.random.default_rng(4), []
    for _ in range(20):
        evidence = Compared(worse_by=0.2)
        evidence = evidence.add(
            arm(1000, int(chance.binomial(1000, rate))), arm(1000, int(chance.binomial(1000, rate)))
        )
        told = for_errors(evidence, 0.01, 0.01).requests
        assert told is not None
        seen = 0
        while not evidence.is_fine(0.01, 0.01):
            counts = [arm(50, int(chance.binomial(50, rate))) for _ in range(2)]
            evidence, seen = evidence.add(*counts), seen + 100
        kept.append(seen <= told + 100)
    assert sum(kept) >= 14


def test_what_is_needed_gets_less_as_evidence_grows() -> None:
    evidence, told = Compared(worse_by=0.2), []
    for _ in range(5):
        evidence = evidence.add(arm(1000, 5), arm(1000, 5))
        told.append(for_errors(evidence, 0.01, 0.01).requests or 0)
    assert told == sorted(told, reverse=True) and told[-1] < told[0] / 2


def test_a_rate_below_a_limit_is_fine_within_what_was_told() -> None:
    chance, kept = np.random.default_rng(5), []
    for _ in range(20):
        evidence = Limited(limit=0.02).add(arm(500, int(chance.binomial(500, 0.01))))
        told, seen = for_limit(evidence, 0.01).requests, 0
        while not evidence.is_fine(0.01):
            evidence, seen = evidence.add(arm(50, int(chance.binomial(50, 0.01)))), seen + 50
        kept.append(told is not None and seen <= told + 50)
    assert sum(kept) >= 12


def test_a_rate_at_the_limit_is_not_fine_with_more_requests() -> None:
    told = for_limit(Limited(limit=0.02).add(arm(1000, 30)), 0.01)
    assert told.requests is None
    assert "does not come below the limit of 2.00%" in str(told.assuming)


def test_without_a_request_it_is_the_least_that_it_can_be() -> None:
    told = for_errors(Compared(worse_by=0.2), 0.005, 0.01)
    assert told.requests == 922 and str(told.assuming) == "that no request fails"
    assert for_limit(Limited(limit=0.02), 0.01).requests == 231


def test_durations() -> None:
    def some(count: int) -> tuple[int, ...]:
        return bucketed(chance.lognormvariate(-2.3, 0.6) for _ in range(count))

    chance, kept = random.Random(6), 0
    for _ in range(5):
        evidence, seen = Timed(quantile=0.95, worse_by=0.25).add(some(400), some(400)), 0
        told = for_durations(evidence, 0.01).requests
        assert told is not None
        while not evidence.is_fine(0.01):
            evidence, seen = evidence.add(some(200), some(200)), seen + 400
        kept += seen <= told + 400 and told < 5 * seen
    assert kept >= 3


def test_wide_buckets_are_told() -> None:
    evidence = Timed(quantile=0.95, worse_by=0.25, edges_s=(0.1, 1.0, 10.0)).add((5, 90, 5, 0), (5, 90, 5, 0))
    told = for_durations(evidence, 0.01)
    assert told.requests is None and "slower than an edge" in str(told.assuming)
