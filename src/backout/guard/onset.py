"""When did failures begin: before the release or after it? One change of rate, found in the counts around it.

The likeliest split of a series into a rate before and a higher one after; all splits that are nearly as likely (a 20th)
are the time in which it began. Good for one step up. A slow rise or two incidents come out as a longer time, and then the
answer is that it cannot be told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate

from backout.document import Document
from backout.guard.looks import NOBODY, Arm

KEPT = 256
_SURELY = math.log(1000)
"""A rise is one when it is so many times as likely as none, for each moment at which it might have been."""
_NEARLY = math.log(20)


class Counted(Document):
    """Counts between two moments."""

    began: datetime
    ended: datetime
    arm: Arm


class Onset(Document):
    """When a rate rose, and how.

    Attributes:
        earliest, latest: Between which moments.
        before, after: Errors per request.
    """

    earliest: datetime
    latest: datetime
    before: float
    after: float


def onset(series: Sequence[Counted]) -> Onset | None:
    """Return when the rate rose; None: there is no rise that is surely one."""
    sums = list(accumulate((one.arm for one in series), initial=NOBODY))
    likely = [_log_likelihood(sums[cut], sums[-1]) for cut in range(1, len(series))]
    if not likely:
        return None
    best = max(likely)
    if best - _log_of(sums[-1]) < _SURELY + math.log(len(likely)):
        return None
    cuts = [cut for cut, value in enumerate(likely, 1) if value >= best - _NEARLY]
    split = likely.index(best) + 1
    return Onset(
        # It may have begun anywhere inside the looks on both sides.
        earliest=series[cuts[0] - 1].began,
        latest=series[cuts[-1]].ended,
        before=sums[split].rate,
        after=_rest(sums[split], sums[-1]).rate,
    )


def remembered(series: Sequence[Counted], one: Counted) -> tuple[Counted, ...]:
    """Return a series with one more; past `KEPT` the older half is kept two by two."""
    longer = (*series, one)
    if len(longer) <= KEPT:
        return longer
    half = KEPT // 2
    pairs = zip(longer[:half:2], longer[1:half:2], strict=True)
    return (*(_joined(a, b) for a, b in pairs), *longer[half:])


def _joined(one: Counted, other: Counted) -> Counted:
    return Counted(began=one.began, ended=other.ended, arm=one.arm + other.arm)


def _rest(part: Arm, whole: Arm) -> Arm:
    return Arm(requests=whole.requests - part.requests, errors=whole.errors - part.errors)


def _log_likelihood(before: Arm, whole: Arm) -> float:
    """Return the logarithm of the likelihood of a lower rate before and a higher one in the rest."""
    after = _rest(before, whole)
    return _log_of(before) + _log_of(after) if before.rate < after.rate else -math.inf


def _log_of(arm: Arm) -> float:
    """Return the logarithm of the likelihood of counts at their own rate."""
    good = arm.requests - arm.errors
    errors = arm.errors * math.log(arm.rate) if arm.errors else 0.0
    return errors + (good * math.log(good / arm.requests) if good else 0.0)
