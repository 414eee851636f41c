"""Bounds of quantiles: as a published library has them, and never narrower than buckets allow."""

from __future__ import annotations

import math
import random
from bisect import bisect_right

import numpy as np
import pytest
import ville
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from backout.guard.latency import (
    EDGES_S,
    Bounds,
    Timed,
    apart,
    bucketed,
    log_ratio,
    quantile_bounds,
    slower_than,
)

PROMETHEUS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def some(count: int, seed: int, times: float = 1.0) -> list[float]:
    chance = random.Random(seed)
    return [times * chance.lognormvariate(math.log(0.1), 0.6) for _ in range(count)]


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
def test_the_evidence_is_the_one_of_a_published_library(quantile: float) -> None:
    chance = np.random.default_rng(5)
    below = (chance.random(3_000) < 0.9).astype(float)
    prior = (100 * quantile, 100 * (1 - quantile))
    theirs = ville.BernoulliTest(p0=quantile, prior=prior).fit(below).log_e_values_
    counts = below.cumsum()
    for n in (1, 10, 100, 1_000, 3_000):
        assert log_ratio(int(counts[n - 1]), n, quantile) == pytest.approx(theirs[n - 1], abs=1e-8)


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("count", [30, 500, 2_000])
def test_the_bounds_are_the_edges_that_the_library_rules_out(quantile: float, count: int) -> None:
    """`ville`'s confidence sequence for the share below each edge, with the same prior, leaves these edges."""
    values = np.array(some(count, 7))
    bounds = quantile_bounds(bucketed(values, PROMETHEUS_S), PROMETHEUS_S, quantile, 0.01)
    low, high = 0.0, math.inf
    for edge in PROMETHEUS_S:
        shares = ville.BernoulliCS(alpha=0.01, prior=(100 * quantile, 100 * (1 - quantile)), intersect=False)
        shares.fit((values <= edge).astype(float)[-count:])
        if shares.upper_[-1] < quantile:
            low = edge
        if shares.lower_[-1] > quantile and high == math.inf:
            high = edge
    assert bounds == Bounds(low, high)


@pytest.mark.parametrize("quantile", [0.95, 0.99])
def test_they_lie_within_the_wider_ones_of_the_same_authors(quantile: float) -> None:
    """`ville.QuantileCS` has the sub-Gaussian bound of the paper, which is wide far from the median."""
    values = some(4_000, 11)
    theirs = ville.QuantileCS(q=quantile, alpha=0.01, t_opt=4_000, intersect=False).fit(np.array(values))
    ours = quantile_bounds(bucketed(values), EDGES_S, quantile, 0.01)
    assert theirs.lower_[-1] / 1.05 <= ours.low_s < ours.high_s <= theirs.upper_[-1] * 1.05
    true = 0.1 * math.exp(0.6 * {0.95: 1.645, 0.99: 2.326}[quantile])
    assert ours.low_s < true < ours.high_s


@given(
    values=st.lists(st.floats(0, 100), min_size=1, max_size=60),
    quantile=st.sampled_from([0.5, 0.95, 0.99]),
    alpha=st.sampled_from([0.5, 0.01]),
)
@settings(max_examples=50, deadline=None)
def test_halving_finds_what_trying_every_edge_finds(
    values: list[float], quantile: float, alpha: float
) -> None:
    counts = bucketed(values, PROMETHEUS_S)
    few = many = None
    for edge in PROMETHEUS_S:
        below = sum(value <= edge for value in values)
        out = log_ratio(below, len(values), quantile) >= -math.log(alpha)
        if out and below < len(values) * quantile:
            few = edge
        if out and below >= len(values) * quantile and many is None:
            many = edge
    assert quantile_bounds(counts, PROMETHEUS_S, quantile, alpha) == Bounds(few or 0.0, many or math.inf)


def test_each_duration_is_in_its_bucket() -> None:
    assert bucketed([0.0, 0.005, 0.0051, 10.0, 10.1], PROMETHEUS_S) == (2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1)
    for wrong in (-1.0, math.nan):
        with pytest.raises(ValueError, match="a duration of"):
            bucketed([wrong])
    assert apart([2, 3, 3, 7]) == (2, 1, 0, 4)


def test_a_canary_that_is_slower_is_found_and_one_that_is_not_is_fine() -> None:
    alike = slow = Timed(quantile=0.95, worse_by=0.25)
    for look in range(30):
        control = bucketed(some(900, 100 + look))
        alike = alike.add(bucketed(some(300, look)), control, 0.25)
        slow = slow.add(bucketed(some(300, look, times=1.6)), control, 0.25)
    assert alike.is_fine(0.01) and not alike.is_harmful(0.01)
    assert slow.is_harmful(0.01) and not slow.is_fine(0.01)


def test_with_few_requests_neither_is_said() -> None:
    evidence = Timed(quantile=0.95, worse_by=0.25)
    assert not evidence.is_harmful(0.01) and not evidence.is_fine(0.01)
    evidence = evidence.add(bucketed([9.0] * 2), bucketed([0.1] * 30))
    assert not evidence.is_harmful(0.01) and not evidence.is_fine(0.01)


def test_evidence_begins_anew_with_another_share_and_costs_more_then() -> None:
    first, second = bucketed(some(200, 1)), bucketed(some(200, 2))
    once = Timed(quantile=0.95, worse_by=0.25).add(first, second, 0.5)
    anew = once.add(first, second, 0.1).add(first, second, 0.1)
    assert (anew.begun, sum(anew.canary), sum(anew.control)) == (2, 400, 400)
    assert anew.bounds(0.01)[0] == quantile_bounds(
        anew.canary, EDGES_S, 0.95, 0.01 / 12
    )  # two arms, 1 : 2 x 3
    twice = once.add(first, second, 0.5)
    assert (twice.begun, sum(twice.canary)) == (1, 400)
    assert anew.bounds(0.01)[0].high_s >= twice.bounds(0.01)[0].high_s


def test_the_order_of_looks_is_nothing_and_a_restart_neither() -> None:
    looks = [(bucketed(some(50, n)), bucketed(some(70, 50 + n))) for n in range(6)]
    one = other = Timed(quantile=0.99, worse_by=0.25)
    for look in looks:
        one = one.add(*look)
    for look in reversed(looks):
        other = Timed.model_validate_json(other.model_dump_json()).add(*look)
    assert one == other


def test_counts_that_are_not_of_these_buckets_are_refused() -> None:
    evidence = Timed(quantile=0.95, worse_by=0.25, edges_s=(0.1, 1.0))
    with pytest.raises(ValueError, match="3 counts for 2 edges, not 2"):
        evidence.add((1, 2), (1, 2, 3))
    with pytest.raises(ValueError, match="3 counts for 2 edges, not 4"):
        slower_than((1, 2, 3, 4), (0.1, 1.0), 0.5)
    with pytest.raises(ValidationError, match="edges of buckets that rise"):
        Timed(quantile=0.95, worse_by=0.25, edges_s=(1.0, 1.0))


@given(values=st.lists(st.floats(0, 20), max_size=40), limit=st.floats(0.001, 12))
def test_what_is_slower_lies_between_what_surely_is_and_what_may_be(
    values: list[float], limit: float
) -> None:
    surely, maybe = slower_than(bucketed(values, PROMETHEUS_S), PROMETHEUS_S, limit)
    assert surely.errors <= sum(value > limit for value in values) <= maybe.errors
    at = PROMETHEUS_S[max(0, bisect_right(PROMETHEUS_S, limit) - 1)]
    exact = slower_than(bucketed(values, PROMETHEUS_S), PROMETHEUS_S, at)
    assert exact[0].errors == exact[1].errors == sum(value > at for value in values)
