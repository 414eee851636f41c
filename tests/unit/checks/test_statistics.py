"""The bounds are right: against published values, against the plain binomial sum, and as properties."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backout.checks.statistics import (
    Bounds,
    Counts,
    decide,
    decide_sum,
    fewest_beyond,
    fewest_failures,
    more_for_percentile,
    more_requests,
    percentile_bounds,
    rate_bounds,
    requests_for,
    rule_of_three,
)

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def tail_at_most(k: int, n: int, p: float) -> float:
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))


@pytest.mark.parametrize(
    ("failures", "n", "confidence", "lower", "upper"),
    [
        # Clopper-Pearson two-sided 95 % (each side 97.5 %), as printed in standard tables.
        (0, 10, 0.975, 0.0, 0.3085),
        (1, 10, 0.975, 0.0025, 0.4450),
        (5, 10, 0.975, 0.1871, 0.8129),
        (10, 10, 0.975, 0.6915, 1.0),
        (4, 20, 0.975, 0.0573, 0.4366),
        (10, 100, 0.975, 0.0490, 0.1762),
        # One-sided 95 %, zero failures: 1 - 0.05 ** (1/n).
        (0, 300, 0.95, 0.0, 0.009936),
        (0, 59, 0.95, 0.0, 0.04951),
    ],
)
def test_published_values(failures: int, n: int, confidence: float, lower: float, upper: float) -> None:
    bounds = rate_bounds(failures, n, confidence)
    assert bounds.lower == pytest.approx(lower, abs=6e-5)
    assert bounds.upper == pytest.approx(upper, abs=6e-5)


@given(counts)
@settings(max_examples=150, deadline=None)
def test_each_bound_is_where_the_binomial_tail_is_five_percent(count: tuple[int, int]) -> None:
    failures, n = count
    bounds = rate_bounds(failures, n)
    assert bounds.lower <= bounds.estimate <= bounds.upper
    if failures < n:
        assert tail_at_most(failures, n, bounds.upper) == pytest.approx(0.05, rel=1e-6)
    if failures > 0:
        assert 1 - tail_at_most(failures - 1, n, bounds.lower) == pytest.approx(0.05, rel=1e-6)


@given(counts)
@settings(max_examples=100, deadline=None)
def test_more_failures_never_look_better_and_more_requests_never_look_worse(count: tuple[int, int]) -> None:
    failures, n = count
    here, one_more_request = rate_bounds(failures, n), rate_bounds(failures, n + 1)
    assert one_more_request.upper <= here.upper
    assert one_more_request.lower <= here.lower
    if failures < n:
        worse = rate_bounds(failures + 1, n)
        assert worse.upper >= here.upper
        assert worse.lower >= here.lower


def test_nothing_asked_proves_nothing() -> None:
    assert rate_bounds(0, 0) == Bounds(0.0, 0.0, 1.0)
    assert rule_of_three(0) == 1.0
    assert decide(rate_bounds(0, 0), 0.99) == "inconclusive"


@given(st.floats(1e-5, 0.999))
@settings(max_examples=100, deadline=None)
def test_ceil_three_over_limit_clean_requests_always_prove_the_limit(limit: float) -> None:
    n = requests_for(limit)
    assert decide(rate_bounds(0, n), limit) == "pass"
    assert rate_bounds(0, n).upper <= rule_of_three(n)


@given(counts, st.floats(0.001, 0.5))
@settings(max_examples=100, deadline=None)
def test_more_requests_is_enough_and_no_more_than_needed(count: tuple[int, int], limit: float) -> None:
    failures, n = count
    more = more_requests(failures, n, limit)
    if more is None:
        assert failures / n >= limit or failures / n > limit * 0.8  # so near that millions are needed
    elif more == 0:
        assert rate_bounds(failures, n).upper <= limit
    elif failures == 0:
        assert rate_bounds(0, n + more).upper <= limit < rate_bounds(0, n + more - 1).upper
    else:
        assert rate_bounds(math.floor(failures / n * (n + more)), n + more).upper <= limit
        assert rate_bounds(failures, n).upper > limit


def test_more_requests_says_when_it_cannot_be() -> None:
    assert more_requests(5, 100, 0.05) is None
    assert more_requests(0, 100, 0.0) is None
    assert more_requests(0, 100, 0.01) == 199  # 299 clean requests bound the rate at 1 %
    assert more_requests(0, 0, 0.01) == 299


def test_three_verdicts() -> None:
    assert decide(rate_bounds(0, 300), 0.01) == "pass"
    assert decide(rate_bounds(0, 200), 0.01) == "inconclusive"
    assert decide(rate_bounds(1, 300), 0.01) == "inconclusive"
    assert decide(rate_bounds(30, 300), 0.01) == "fail"


def test_p95_ranks_match_the_published_ones() -> None:
    # Distribution-free tolerance limits (Wilks): 59 values for one-sided 95/95, then 93, 124, 153, 181.
    for rank_from_top, n in enumerate((59, 93, 124, 153, 181), start=1):
        assert percentile_bounds(range(1, n + 1)).upper == n - rank_from_top + 1
        if rank_from_top == 1:
            assert percentile_bounds(range(1, n)).upper == math.inf


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=400), st.floats(0, 1000))
@settings(max_examples=150, deadline=None)
def test_percentile_bounds_hold_the_estimate_and_agree_with_the_rate_beyond(
    values: list[float], limit: float
) -> None:
    bounds = percentile_bounds(values)
    assert bounds.lower <= bounds.estimate <= bounds.upper
    beyond = sum(1 for v in values if v > limit)
    assert decide(bounds, limit) == decide(rate_bounds(beyond, len(values)), 0.05)
    if decide(bounds, limit) == "pass":
        assert more_for_percentile(values, limit) == 0


def test_unanswered_requests_count_as_endless() -> None:
    few, many = [1.0] * 297 + [math.inf] * 3, [1.0] * 200 + [math.inf] * 100
    assert decide(percentile_bounds(few), 10.0) == "pass"
    assert decide(percentile_bounds(many), 10.0) == "fail"
    assert percentile_bounds([]) == Bounds(0.0, math.inf, math.inf)
    assert more_for_percentile([], 10.0) == 59


def test_large_samples_stay_exact_and_quick() -> None:
    bounds = rate_bounds(1_000, 1_000_000)
    assert bounds.lower == pytest.approx(0.000948, abs=2e-6)
    assert bounds.upper == pytest.approx(0.001054, abs=2e-6)


# What was seen earlier was no failure by itself: only then it is gone on with.
earlier_counts = st.integers(0, 400).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, n // 20)))


@given(st.integers(1, 300), st.floats(0.001, 0.5), earlier_counts, st.data())
@settings(max_examples=150, deadline=None)
def test_stopped_early_for_the_error_rate_means_failed_in_the_end(
    planned: int, limit: float, earlier: Counts, data: st.DataObject
) -> None:
    line = fewest_failures(planned, limit, earlier)
    if line is None:
        assert decide_sum(planned, planned, limit, earlier) != "fail"
        return
    failures = data.draw(st.integers(line, planned))
    asked = data.draw(st.integers(failures, planned), label="cut short by the deadline, or whole")
    assert decide_sum(failures, asked, limit, earlier) == "fail"
    assert decide_sum(line, planned, limit, earlier) == "fail", "even if all the rest were perfect"
    if line > 1:
        assert decide_sum(line - 1, planned, limit, earlier) != "fail", "not stopped before it is certain"


@given(st.integers(1, 300), st.floats(0, 100), st.data())
@settings(max_examples=150, deadline=None)
def test_stopped_early_for_the_response_time_means_failed_in_the_end(
    planned: int, limit: float, data: st.DataObject
) -> None:
    line = fewest_beyond(planned)
    if line is None:
        assert decide(percentile_bounds([math.inf] * planned), limit) != "fail"
        return
    slow = st.one_of(st.just(math.inf), st.floats(limit, 1e6, exclude_min=True))
    beyond = data.draw(st.lists(slow, min_size=line, max_size=planned))
    rest = data.draw(st.lists(st.floats(0, 1e6), max_size=planned - len(beyond)))
    assert decide(percentile_bounds([*rest, *beyond]), limit) == "fail"
    perfect = [0.0] * (planned - line)
    assert decide(percentile_bounds([*perfect, *beyond[:line]]), limit) == "fail"
    assert decide(percentile_bounds([*perfect, 0.0, *beyond[: line - 1]]), limit) != "fail"


def test_seven_failures_of_300_are_over_one_percent() -> None:
    assert fewest_failures(300, 0.01) == 7
    assert fewest_failures(300, 0.01, Counts(300, 5)) == 6, "11 of 600"
    assert fewest_failures(300, 0.01, Counts(300, 0)) == 7, "by themselves"
    assert fewest_beyond(300) == 22
    assert fewest_failures(1, 0.99) is None


@given(counts, earlier_counts, st.floats(0.001, 0.5))
@settings(max_examples=100, deadline=None)
def test_earlier_requests_neither_cover_a_failure_nor_are_forgotten(
    count: tuple[int, int], earlier: Counts, limit: float
) -> None:
    failures, n = count
    told = decide_sum(failures, n, limit, earlier)
    if decide(rate_bounds(failures, n), limit) == "fail":
        assert told == "fail"
    if told == "pass":
        assert rate_bounds(failures + earlier.failures, n + earlier.requests).upper <= limit
