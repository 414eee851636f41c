"""Metrics share one chance of a false alarm."""

from __future__ import annotations

import pytest

from backout.guard.budget import shared


def test_parts_are_by_weight_and_add_up() -> None:
    parts = shared(0.01, {"errors": 2.0, "p95": 1.0, "p99": 1.0})
    assert parts == pytest.approx({"errors": 0.005, "p95": 0.0025, "p99": 0.0025})
    assert sum(parts.values()) == pytest.approx(0.01)


@pytest.mark.parametrize(
    "alpha,weights", [(0.0, {"a": 1.0}), (1.0, {"a": 1.0}), (0.01, {}), (0.01, {"a": 0.0})]
)
def test_what_cannot_be_shared_is_refused(alpha: float, weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"between 0 and 1|at least one metric"):
        shared(alpha, weights)
