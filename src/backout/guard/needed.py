"""How many more requests until "fine" can be said, if it is: an estimate, and what it assumes.

At a steady rate the evidence grows by g a request and scatters by v; it has passed what is needed with a chance of 0.8 after n
requests where gn - 0.84 sqrt(vn) reaches it. Of the sizes in the mixture the quickest one counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import accumulate

from backout.document import Document
from backout.guard.errors import BETTER, Compared
from backout.guard.latency import Timed, quantile_bounds
from backout.guard.limits import BELOW, Limited
from backout.message import Message, msg

_LIKELY = 0.8416  # the normal quantile of 0.8
_MOST = 10**12


class Needed(Document):
    """How many more requests, of all arms together, and under which assumption; null: more do not help."""

    requests: int | None
    assuming: Message


def for_errors(evidence: Compared, tolerated: float, alpha: float) -> Needed:
    """Return it for a canary beside its control arm."""
    canary, control = evidence.canary.requests, evidence.control.requests
    if not canary or not control:
        return Needed(requests=_at_least(tolerated, alpha), assuming=msg("that no request fails"))
    rate, times = (evidence.canary + evidence.control).rate, control / canary
    ways = []
    for log, room, r in zip(evidence.better, evidence.room, BETTER, strict=True):
        a, b = r * (1 + times) / (r + times), (1 + times) / (r + times)
        gain = rate * (math.log(a) + times * math.log(b)) + tolerated * (1 - a)
        scatter = rate * (math.log(a) ** 2 + times * math.log(b) ** 2)
        missing = math.log(len(BETTER) / alpha) - log - tolerated * room
        ways.append(_requests(gain, scatter, missing))
    return _told(
        (one * (1 + times) for one in ways),
        msg("that both arms fail at {rate}", rate=f"{rate:.2%}"),
        msg("at {rate} of errors so small a difference is not found", rate=f"{rate:.2%}"),
    )


def for_limit(evidence: Limited, alpha: float) -> Needed:
    """Return it for a rate that has to be below a limit."""
    if not evidence.counted.requests:
        return Needed(requests=_at_least(evidence.limit, alpha), assuming=msg("that no request fails"))
    arm, limit = evidence.counted, evidence.limit
    rate = arm.rate
    ways = []
    for part in BELOW:
        failed, went = math.log(part), math.log((1 - limit * part) / (1 - limit))
        gain, scatter = rate * failed + (1 - rate) * went, rate * (1 - rate) * (failed - went) ** 2
        now = arm.errors * failed + (arm.requests - arm.errors) * went
        ways.append(_requests(gain, scatter, math.log(len(BELOW) / alpha) - now))
    return _told(
        ways,
        msg("that the rate stays as it is: {rate}", rate=f"{rate:.2%}"),
        msg(
            "at {rate} it does not come below the limit of {limit}", rate=f"{rate:.2%}", limit=f"{limit:.2%}"
        ),
    )


def for_durations(evidence: Timed, alpha: float) -> Needed:
    """Return it for a quantile in two arms."""
    each = alpha / (2 * evidence.begun * (evidence.begun + 1))
    both = tuple(map(sum, zip(evidence.canary, evidence.control, strict=True)))
    total, canary = sum(both), sum(evidence.canary)
    if not canary or canary == total:
        least = _at_least(1 - evidence.quantile, each)
        return Needed(requests=least, assuming=msg("that all requests take equally long"))
    for doubled in range(64):
        more = 2 ** (doubled / 2)
        if total * more > _MOST:
            break
        if _would_be_fine(evidence, both, more, each):
            return Needed(
                requests=max(1, math.ceil(total * (more - 1))),
                assuming=msg("that requests of the release take as long as the rest"),
            )
    return Needed(
        requests=None,
        assuming=msg(
            "buckets around the {quantile} quantile are wider than what is tolerated: count the requests that are slower than an edge",
            quantile=f"{evidence.quantile:g}",
        ),
    )


def _would_be_fine(evidence: Timed, both: tuple[int, ...], more: float, alpha: float) -> bool:
    """Tell whether the bounds would mostly be near enough at `more` times the requests, all distributed as both arms together."""
    bounds, q = [], evidence.quantile
    for arm, worse in ((evidence.canary, 1), (evidence.control, -1)):
        scale = sum(arm) * more / sum(both)
        ends = [round(scale * end) for end in accumulate(both)]
        counts = [end - begin for begin, end in zip((0, *ends), ends, strict=False)]
        # By chance both arms' quantiles are a little further apart than they are: 0.84 deviations, half of it in each.
        luck = worse * _LIKELY * math.sqrt(q * (1 - q) / (2 * sum(arm) * more))
        quantile = min(0.9999, max(0.0001, q + luck))
        bounds.append(quantile_bounds(counts, evidence.edges_s, quantile, alpha))
    canary, control = bounds
    return canary.high_s <= control.low_s * (1 + evidence.worse_by)


def _at_least(rate: float, alpha: float) -> int:
    """Return how many requests without an error it takes at the very least."""
    return math.ceil(-math.log(alpha) / rate)


def _requests(gain: float, scatter: float, missing: float) -> float:
    if missing <= 0:
        return 1.0
    if gain <= 0:
        return math.inf
    back = _LIKELY * math.sqrt(scatter)
    return ((back + math.sqrt(back * back + 4 * gain * missing)) / (2 * gain)) ** 2


def _told(ways: Iterable[float], assuming: Message, never: Message) -> Needed:
    least = min(ways)
    if least > _MOST:
        return Needed(requests=None, assuming=never)
    return Needed(requests=max(1, math.ceil(least)), assuming=assuming)
