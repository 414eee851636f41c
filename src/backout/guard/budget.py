"""How several metrics share one chance of a false alarm.

Each gets a part of alpha by its weight, and the parts add up to alpha, so that the chance that any of them is wrong is at most
alpha, however they hang together (Bonferroni). The weighted mean of their e-values would find a little more; but then
"back out" might name no metric, and an operator could not check it.

"Continue" needs no sharing: it is said when *every* metric is fine, so one that is not has to be taken for fine, and that has a
chance of at most alpha.
"""

from __future__ import annotations

from collections.abc import Mapping


def shared(alpha: float, weights: Mapping[str, float]) -> dict[str, float]:
    """Return each metric's part of alpha.

    Raises:
        ValueError: alpha is not between 0 and 1, there is no metric, or a weight is not above 0.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"a chance between 0 and 1, not {alpha}")
    if not weights or any(weight <= 0 for weight in weights.values()):
        raise ValueError("at least one metric, and weights above 0")
    whole = sum(weights.values())
    return {name: alpha * weight / whole for name, weight in weights.items()}
