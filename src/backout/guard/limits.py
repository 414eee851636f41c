"""Is a rate above a limit, or surely below it? For releases that serve everybody, where there is nothing to compare with.

Whatever else happens meanwhile looks like the release here. That the rate *is* above the limit is said wrongly with at most
alpha; that it is the release's doing is not claimed.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from backout.document import Document
from backout.guard.evidence import carried_on, log_e, log_mean, smallest
from backout.guard.looks import NOBODY, Arm

ABOVE = (0.003, 0.01, 0.03, 0.1, 0.2, 0.35, 0.55, 0.8)
"""So far between the limit and 1, beside multiples of the limit."""
TIMES = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
BELOW = (0.9, 0.8, 0.65, 0.5, 0.35, 0.2, 0.1, 0.03, 1e-3)


class Limited(Document):
    """Evidence of one rate against a limit: plain data.

    Attributes:
        limit: The highest rate that is allowed.
        looks: In so many looks there were requests.
        counted: So far.
        worse: Logarithms of the evidence that the rate is above the limit, by size.
    """

    kind: Literal["limit"] = "limit"
    limit: float = Field(gt=0, lt=1)
    looks: int = 0
    counted: Arm = NOBODY
    worse: tuple[float, ...] = ()

    def add(self, arm: Arm) -> Limited:
        """Return the evidence with one more look."""
        if not arm.requests:
            return self
        looks = self.looks + 1
        gains = [_log_ratio(arm, rate, self.limit) for rate in _alternatives(self.limit)]
        return self.model_copy(
            update={
                "looks": looks,
                "counted": self.counted + arm,
                "worse": carried_on(self.worse, gains, looks),
            }
        )

    @property
    def log_harm(self) -> float:
        """The logarithm of the evidence that the rate is above the limit."""
        return log_e(self.worse, self.looks)

    def is_harmful(self, alpha: float) -> bool:
        """Tell whether the rate is above the limit; wrong with at most alpha, over all looks together."""
        return self.log_harm >= -math.log(alpha)

    def is_fine(self, alpha: float) -> bool:
        """Tell whether the rate's upper bound is below the limit; wrong with at most alpha, over all looks together."""
        return _log_below(self.counted, self.limit) >= -math.log(alpha)

    def at_most(self, alpha: float) -> float:
        """Return what the rate is at most (1: nothing is known); wrong with a chance of at most alpha."""
        least = -math.log(alpha)
        return smallest(lambda rate: _log_below(self.counted, rate) >= least, self.counted.rate, 1.0)


def _alternatives(limit: float) -> tuple[float, ...]:
    times = tuple(limit * times for times in TIMES if limit * times < 0.9)
    return times + tuple(limit + part * (1 - limit) for part in ABOVE)


def _log_ratio(arm: Arm, rate: float, limit: float) -> float:
    good = arm.requests - arm.errors
    return arm.errors * math.log(rate / limit) + good * math.log((1 - rate) / (1 - limit))


def _log_below(arm: Arm, limit: float) -> float:
    """Return the logarithm of the evidence that a rate is below `limit`: at or above it, it is an e-process."""
    if not 0 < limit < 1:
        return 0.0
    return log_mean([_log_ratio(arm, limit * part, limit) for part in BELOW])
