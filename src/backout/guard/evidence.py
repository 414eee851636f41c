"""Evidence that may be looked at after every request: e-processes, kept as logarithms.

An e-process is never negative and has an expectation of at most 1 at any time of stopping, as long as the hypothesis is
true. So the chance that it *ever* reaches 1/alpha is at most alpha, however often one looks (Ville 1939; Ramdas,
Grünwald, Vovk, Shafer: Game-theoretic statistics, Statistical Science 2023).

Each is a mixture: over how large an effect is, as nobody knows that; and over when it began, so that hours of health do
not outweigh a harm that begins late. A mixture of e-processes is one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

_AT_ONCE, _LATER = math.log(0.75), math.log(0.25)


def log_mean(logs: Sequence[float]) -> float:
    """Return the logarithm of the mean of what the logarithms are of."""
    return log_sum(logs) - math.log(len(logs))


def log_sum(logs: Iterable[float]) -> float:
    """Return the logarithm of a sum, without overflow."""
    terms = list(logs)
    top = max(terms)
    return top + math.log(sum(math.exp(term - top) for term in terms))


def carried_on(begun: Sequence[float], gains: Sequence[float], looks: int) -> tuple[float, ...]:
    """Return the evidence after one more look, for effects that began at this look or at an earlier one.

    That an effect begins with the first look has the weight 3/4, with look j > 1 the weight 1/4 : j(j-1); together
    1. What has not begun yet stays 1 and is in `log_e`.

    Args:
        begun: By size of the effect, weighted; empty before the first look.
        gains: What this look adds to each.
        looks: The number of this look, from 1.
    """
    if not begun:
        return tuple(_AT_ONCE + gain for gain in gains)
    starting = _LATER - math.log(looks * (looks - 1))
    return tuple(_larger(log, starting) + gain for log, gain in zip(begun, gains, strict=True))


def log_e(begun: Sequence[float], looks: int) -> float:
    """Return the logarithm of the evidence: what has begun, and the weight of what has not."""
    if not begun:
        return 0.0
    return _larger(log_mean(begun), _LATER - math.log(looks))


def _larger(one: float, other: float) -> float:
    """Return log(exp(one) + exp(other))."""
    top, low = (one, other) if one > other else (other, one)
    return top + math.log1p(math.exp(low - top))


def smallest(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return where a condition that stays true once it is begins to hold between two numbers; `high` if nowhere."""
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
