"""Is the canary slower than the control arm? By confidence sequences for a quantile, which hold at every look together.

Of n requests the number that took no longer than the true q-quantile is binomial with q; where it is too far from nq, by a Beta mixture
of likelihoods, a bound has been passed. That is one statement about one number, so the bounds may be read off at every bucket's
edge without paying for their number. Any distribution, also with ties: a bucket that is too wide makes the bounds wider, never wrong.

What is compared are the whole samples: were the share of the canary to change while durations do, its sample would be of other
times than the control's. So evidence begins anew with each share, with a part of alpha for each beginning (`begun`). That
durations of both arms change at a constant share is no harm either was measured (docs/guard.md); the proof is for durations that do not change.

Source: Howard, Ramdas: Sequential estimation of quantiles with applications to A/B testing and best-arm identification
(Bernoulli 28, 2022), theorem 1 with the beta-binomial bound.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Self

from pydantic import Field, model_validator

from backout.document import Document
from backout.guard.looks import Arm

EDGES_S = tuple(round(0.001 * 1.05**step, 6) for step in range(284))
"""Upper edges from a millisecond to a quarter of an hour, each 5 % above the one before: for requests that are seen one by one."""

_PRIOR = 100.0
"""How many requests the mixture counts like; narrowest bounds at some thousand requests."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which durations a quantile lies; 0 and infinity: not known."""

    low_s: float
    high_s: float


class Timed(Document):
    """Evidence of one quantile in two arms: plain data.

    Attributes:
        quantile: As 0.95.
        worse_by: More than 1 + this times the control's quantile is harm.
        edges_s: The buckets' upper edges in seconds, rising; slower requests are counted behind the last one.
        canary, control: Requests by bucket since the evidence began last.
        share: The canary's share of the requests since then.
        begun: How many times evidence has begun.
    """

    kind: Literal["durations"] = "durations"
    quantile: float = Field(gt=0, lt=1)
    worse_by: float = Field(ge=0)
    edges_s: tuple[float, ...] = EDGES_S
    canary: tuple[int, ...] = ()
    control: tuple[int, ...] = ()
    share: float | None = None
    begun: int = 1

    @model_validator(mode="after")
    def _edges_rise(self) -> Self:
        if not self.edges_s or any(a >= b for a, b in zip(self.edges_s, self.edges_s[1:], strict=False)):
            raise ValueError("edges of buckets that rise")
        return self

    def add(self, canary: Sequence[int], control: Sequence[int], share: float | None = None) -> Timed:
        """Return the evidence with one more look; begun anew where the share is another one.

        Raises:
            ValueError: There are more or fewer counts than buckets.
        """
        for counts in (canary, control):
            _fits(counts, self.edges_s)
        anew = bool(self.canary) and share != self.share
        before = ((), ()) if anew else (self.canary, self.control)
        return self.model_copy(
            update={
                "canary": _together(before[0], canary),
                "control": _together(before[1], control),
                "share": share,
                "begun": self.begun + anew,
            }
        )

    def bounds(self, alpha: float) -> tuple[Bounds, Bounds]:
        """Return the quantile's bounds in the canary and in the control arm; all hold, always, but for alpha."""
        each = alpha / (2 * self.begun * (self.begun + 1))
        canary, control = (
            quantile_bounds(counts, self.edges_s, self.quantile, each)
            for counts in (self.canary, self.control)
        )
        return canary, control

    def is_harmful(self, alpha: float) -> bool:
        """Tell whether the canary's quantile is too high; wrong with at most alpha, over all looks together."""
        canary, control = self.bounds(alpha)
        return canary.low_s > control.high_s * (1 + self.worse_by)

    def is_fine(self, alpha: float) -> bool:
        """Tell whether the canary's quantile is surely not too high."""
        canary, control = self.bounds(alpha)
        return canary.high_s <= control.low_s * (1 + self.worse_by)


def quantile_bounds(counts: Sequence[int], edges_s: Sequence[float], quantile: float, alpha: float) -> Bounds:
    """Return the edges between which a quantile lies: a confidence sequence at 1 - alpha."""
    below = list(accumulate(counts))
    if not below or not below[-1]:
        return Bounds(0.0, math.inf)
    total, least, cuts = below[-1], -math.log(alpha), below[:-1]
    expected = bisect_left(cuts, total * quantile)
    # Far from what is expected the evidence only grows, so each bound is found by halving.
    few = bisect_left(cuts[:expected], True, key=lambda k: log_ratio(k, total, quantile) < least)
    many = bisect_left(cuts[expected:], True, key=lambda k: log_ratio(k, total, quantile) >= least) + expected
    return Bounds(edges_s[few - 1] if few else 0.0, edges_s[many] if many < len(cuts) else math.inf)


def log_ratio(count: int, total: int, quantile: float) -> float:
    """Return the logarithm of the evidence that `count` of `total` is not binomial with `quantile`: a Beta mixture."""
    a, b = _PRIOR * quantile, _PRIOR * (1 - quantile)
    likely = _log_beta(a + count, b + total - count) - _log_beta(a, b)
    return likely - count * math.log(quantile) - (total - count) * math.log1p(-quantile)


def bucketed(durations_s: Iterable[float], edges_s: Sequence[float] = EDGES_S) -> tuple[int, ...]:
    """Return how many durations are in each bucket, and last how many are slower than all.

    Raises:
        ValueError: A duration is negative or no number.
    """
    counts = [0] * (len(edges_s) + 1)
    for duration in durations_s:
        if not duration >= 0:
            raise ValueError(f"a duration of {duration} s")
        counts[bisect_left(edges_s, duration)] += 1
    return tuple(counts)


def apart(cumulative: Sequence[int]) -> tuple[int, ...]:
    """Return the counts of a cumulative histogram, as Prometheus' ``le`` buckets up to ``+Inf``, bucket by bucket."""
    return tuple(now - before for before, now in zip((0, *cumulative), cumulative, strict=False))


def slower_than(counts: Sequence[int], edges_s: Sequence[float], limit_s: float) -> tuple[Arm, Arm]:
    """Return the requests with those that surely took longer than a limit, and with those that may have.

    The two are the same where the limit is the edge of a bucket.

    Raises:
        ValueError: There are more or fewer counts than buckets.
    """
    _fits(counts, edges_s)
    total = sum(counts)
    surely = sum(counts[bisect_left(edges_s, limit_s) + 1 :])
    maybe = total - sum(count for edge, count in zip(edges_s, counts, strict=False) if edge <= limit_s)
    return Arm(requests=total, errors=surely), Arm(requests=total, errors=maybe)


def _fits(counts: Sequence[int], edges_s: Sequence[float]) -> None:
    wanted = len(edges_s) + 1
    if len(counts) != wanted:
        raise ValueError(f"{wanted} counts for {wanted - 1} edges, not {len(counts)}")


def _together(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(operator.add, one, other)) if one else tuple(other)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
