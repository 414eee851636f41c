"""What a number of requests can prove, and what it cannot. PURE, standard library only.

All bounds are one-sided. A rate is bounded exactly (Clopper-Pearson); a percentile is bounded by order
statistics, which is the same binomial seen from the other side: the 95th percentile is at most L exactly
if no more than 5 % of all answers take longer than L.

Source: Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
binomial", Biometrika 26 (1934); Hanley and Lippman-Hand, "If nothing goes wrong, is everything all
right?", JAMA 249 (1983), for the rule of three; David and Nagaraja, "Order Statistics", 3rd ed., 7.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

CONFIDENCE = 0.95
_MOST_REQUESTS = 10_000_000
_TINY = 1e-300
_PRECISION = 1e-14

Says = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known of a figure: it is at least `lower` and at most `upper`, each with 95 % confidence."""

    lower: float
    estimate: float
    upper: float


@dataclass(frozen=True, slots=True)
class Counts:
    """How many requests were asked, and how many of them failed."""

    requests: int
    failures: int


NONE_EARLIER = Counts(0, 0)


def decide(bounds: Bounds, limit: float) -> Says:
    """Return whether the figure is within the limit; inconclusive while the limit lies between the bounds."""
    if bounds.upper <= limit:
        return "pass"
    return "fail" if bounds.lower > limit else "inconclusive"


def decide_sum(failures: int, requests: int, limit: float, earlier: Counts = NONE_EARLIER) -> Says:
    """Return what new requests and those asked earlier say together of a rate.

    What was seen earlier is never forgotten, and never covers for what is seen now: it fails when the sum
    fails or when the new requests fail by themselves, and passes by the sum.
    """
    if decide(rate_bounds(failures, requests), limit) == "fail":
        return "fail"
    return decide(rate_bounds(failures + earlier.failures, requests + earlier.requests), limit)


def fewest_failures(planned: int, limit: float, earlier: Counts = NONE_EARLIER) -> int | None:
    """Return from how many failures on `decide_sum` says fail whatever all other planned requests do.

    More failures never look better and fewer requests never look less certain, so the answer stands at that
    moment: even if every request that is left were answered. Stopping there is no peeking.

    Returns:
        At least 1; None where not even failures alone would prove it.
    """
    alone = _fewest(planned, limit)
    with_earlier = _fewest(planned + earlier.requests, limit)
    lines = [alone, None if with_earlier is None else max(1, with_earlier - earlier.failures)]
    return min((line for line in lines if line is not None and line <= planned), default=None)


def fewest_beyond(planned: int, q: float = 0.95, confidence: float = CONFIDENCE) -> int | None:
    """Return how many of the planned values beyond a limit make `percentile_bounds` fail it whatever the others are.

    Returns:
        None where so few values can never tell.
    """
    rank = _lower_rank(planned, q, confidence)
    return planned - rank + 1 if rank >= 1 else None


def rule_of_three(requests: int) -> float:
    """Return the rate that zero failures in so many requests bound: 3/n, at most 1."""
    return min(1.0, 3.0 / requests) if requests > 0 else 1.0


def requests_for(limit: float) -> int:
    """Return how many requests without a failure prove a limit (a rate above 0): ceil(3/limit)."""
    return math.ceil(3.0 / limit)


def rate_bounds(failures: int, requests: int, confidence: float = CONFIDENCE) -> Bounds:
    """Return the exact bounds of a failure rate; 0 to 1 where nothing was asked."""
    if requests <= 0:
        return Bounds(0.0, 0.0, 1.0)
    return Bounds(
        lower=_lower_rate(failures, requests, confidence),
        estimate=failures / requests,
        upper=_upper_rate(failures, requests, confidence),
    )


def more_requests(failures: int, requests: int, limit: float, confidence: float = CONFIDENCE) -> int | None:
    """Return how many more requests would prove the limit, if they fail as often as those so far.

    Returns:
        0 if it is proven already; None if it cannot be: the observed rate is not below the limit, or it
        would take more than ten million requests.
    """
    rate = failures / requests if requests else 0.0
    if requests and _upper_rate(failures, requests, confidence) <= limit:
        return 0
    if limit <= 0 or rate >= limit:
        return None

    def proven(total: int) -> bool:
        return _upper_rate(rate * total, total, confidence) <= limit

    high = max(requests, 1)
    while not proven(high):
        high *= 2
        if high > _MOST_REQUESTS:
            return None
    return _first(max(requests, 0), high, proven) - requests


def percentile_bounds(values: Sequence[float], q: float = 0.95, confidence: float = CONFIDENCE) -> Bounds:
    """Return the bounds of a percentile by order statistics; nothing is assumed about the distribution.

    Args:
        values: Measured values in any order; `inf` for what was never answered.
        q: Which percentile, as a fraction.
        confidence: Of each bound.

    Returns:
        The lower bound is 0 and the upper `inf` where there are too few values to tell (the upper
        bound of a p95 needs 59).
    """
    ordered = sorted(values)
    n = len(ordered)
    if n == 0:
        return Bounds(0.0, math.inf, math.inf)
    # The r-th smallest value is at least the percentile with probability P(Bin(n, q) <= r - 1).
    upper_rank = _first(0, n, lambda r: _binomial_cdf(r - 1, n, q) >= confidence)
    known_above = _binomial_cdf(upper_rank - 1, n, q) >= confidence
    lower_rank = _lower_rank(n, q, confidence)
    return Bounds(
        lower=ordered[lower_rank - 1] if lower_rank >= 1 else 0.0,
        estimate=ordered[max(0, math.ceil(q * n) - 1)],
        upper=ordered[upper_rank - 1] if known_above else math.inf,
    )


def more_for_percentile(values: Sequence[float], limit: float, q: float = 0.95) -> int | None:
    """Return how many more values would prove that the percentile is within the limit, or None."""
    beyond = sum(1 for value in values if value > limit)
    return more_requests(beyond, len(values), 1 - q)


def _lower_rank(n: int, q: float, confidence: float) -> int:
    """Return which of n values in order is a lower bound of the percentile; 0 where none is."""
    if n <= 0:
        return 0
    # The r-th smallest value is at most the percentile with probability P(Bin(n, q) >= r).
    rank = _first(0, n, lambda r: _binomial_cdf(r - 1, n, q) > 1 - confidence)
    return rank - 1 if _binomial_cdf(rank - 1, n, q) > 1 - confidence else rank


def _fewest(requests: int, limit: float) -> int | None:
    """Return the fewest failures of so many requests that fail the limit, or None."""
    if requests <= 0 or _lower_rate(requests, requests, CONFIDENCE) <= limit:
        return None
    return _first(0, requests, lambda failures: _lower_rate(failures, requests, CONFIDENCE) > limit)


def _upper_rate(failures: float, requests: int, confidence: float) -> float:
    if failures >= requests:
        return 1.0
    return _bisect(lambda p: _beta_cdf(p, failures + 1, requests - failures), confidence)


def _lower_rate(failures: float, requests: int, confidence: float) -> float:
    if failures <= 0:
        return 0.0
    return _bisect(lambda p: _beta_cdf(p, failures, requests - failures + 1), 1 - confidence)


def _bisect(rising: Callable[[float], float], level: float) -> float:
    """Return where a function that rises over 0 to 1 reaches a level."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if rising(middle) < level:
            low = middle
        else:
            high = middle
    return high


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Return the smallest number in (low, high] from which on it holds; `high` if it never does."""
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


def _binomial_cdf(successes: int, n: int, p: float) -> float:
    """Return P(Bin(n, p) <= successes)."""
    if successes < 0:
        return 0.0
    return 1.0 if successes >= n else 1.0 - _beta_cdf(p, successes + 1, n - successes)


def _beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b).

    Source: NIST Digital Library of Mathematical Functions, 8.17.22 (continued fraction).
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    # The fraction converges fast on this side of the mean only.
    if x <= (a + 1) / (a + b + 2):
        return math.exp(log_front) * _fraction(x, a, b) / a
    return 1.0 - math.exp(log_front) * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Evaluate the continued fraction of I_x(a, b) by Lentz's method."""
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            result *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            break
    return result


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
