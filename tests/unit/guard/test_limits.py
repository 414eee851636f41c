"""A rate against a limit, where there is no control arm."""

from __future__ import annotations

import math

import numpy as np
import pytest
import ville
from hypothesis import given, settings
from hypothesis import strategies as st

from backout.guard.limits import Limited
from backout.guard.looks import Arm


def arm(requests: int, errors: int = 0) -> Arm:
    return Arm(requests=requests, errors=errors)


def binomial(n: int, k: int, rate: float) -> float:
    return math.comb(n, k) * rate**k * (1 - rate) ** (n - k)


@given(
    limit=st.sampled_from([0.001, 0.02, 0.3, 0.95]),
    less=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    sizes=st.tuples(st.integers(0, 8), st.integers(0, 8)),
    enough=st.floats(0.5, 5),
)
@settings(max_examples=30, deadline=None)
def test_harm_has_an_expectation_of_at_most_one_whenever_one_stops(
    limit: float, less: tuple[float, float], sizes: tuple[int, int], enough: float
) -> None:
    expected = 0.0
    for x in range(sizes[0] + 1):
        one, likely = Limited(limit=limit).add(arm(sizes[0], x)), binomial(sizes[0], x, limit * less[0])
        if one.log_harm >= math.log(enough):
            expected += likely * math.exp(one.log_harm)
            continue
        for y in range(sizes[1] + 1):
            both = one.add(arm(sizes[1], y))
            expected += likely * binomial(sizes[1], y, limit * less[1]) * math.exp(both.log_harm)
    assert expected <= 1 + 1e-9


@pytest.mark.parametrize("limit", [0.001, 0.02, 0.3, 0.95])
def test_at_the_limit_itself_the_expectation_is_one(limit: float) -> None:
    looks = [Limited(limit=limit).add(arm(30, x)) for x in range(31)]
    expected = sum(binomial(30, x, limit) * math.exp(one.log_harm) for x, one in enumerate(looks))
    assert expected == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("limit", [0.02, 0.3])
def test_fine_is_said_wrongly_at_most_as_often_as_promised(limit: float) -> None:
    """Every path of 40 requests at the limit itself: the chance that "fine" is ever said, at alpha 0.2."""
    ways = {(0, False): 1.0}
    for n in range(1, 41):
        later: dict[tuple[int, bool], float] = {}
        for (errors, said), likely in ways.items():
            for more, chance in ((0, 1 - limit), (1, limit)):
                fine = said or Limited(limit=limit, counted=arm(n, errors + more)).is_fine(0.2)
                key = (errors + more, fine)
                later[key] = later.get(key, 0.0) + likely * chance
        ways = later
    assert sum(likely for (_, said), likely in ways.items() if said) <= 0.2


@pytest.mark.parametrize("errors,requests", [(0, 50), (3, 400), (40, 1_000), (900, 1_000)])
def test_the_upper_bound_is_near_the_one_of_a_published_library(errors: int, requests: int) -> None:
    """Another mixture (ours is over fewer rates) for the same hypothesis: neither is far from the other."""
    sample = np.array([1.0] * errors + [0.0] * (requests - errors))
    theirs = ville.BernoulliCS(alpha=0.01, intersect=False).fit(sample).upper_[-1]
    ours = Limited(limit=0.02, counted=arm(requests, errors)).at_most(0.01)
    assert errors / requests < ours
    # The distances from the rate itself; the library's bounds are two-sided.
    assert 0.5 < (ours - errors / requests) / (theirs - errors / requests) < 1.5


def test_no_error_in_n_requests_is_what_the_rule_of_three_allows() -> None:
    assert not Limited(limit=0.01).add(arm(300)).is_fine(0.05)  # right for one look, and not for many
    assert Limited(limit=0.01).add(arm(900)).is_fine(0.05)


def test_above_at_and_below_the_limit() -> None:
    above = at = below = Limited(limit=0.02)
    for _ in range(50):
        above, at, below = above.add(arm(200, 10)), at.add(arm(200, 4)), below.add(arm(200, 1))
    assert above.is_harmful(0.01) and not above.is_fine(0.01)
    assert not at.is_harmful(0.01) and not at.is_fine(0.01)
    assert below.is_fine(0.01) and not below.is_harmful(0.01)
    assert below.at_most(0.01) < 0.02 < at.at_most(0.01)


def test_harm_that_begins_late_is_found_as_well() -> None:
    evidence, looks = Limited(limit=0.02), 0
    for _ in range(400):
        evidence = evidence.add(arm(200, 1))
    while not evidence.is_harmful(0.01):
        evidence, looks = evidence.add(arm(200, 20)), looks + 1
    assert looks <= 5


def test_a_look_without_requests_says_nothing_and_a_restart_neither() -> None:
    evidence = Limited(limit=0.02).add(arm(10, 1))
    assert evidence.add(arm(0)) == evidence == Limited.model_validate_json(evidence.model_dump_json())
    assert Limited(limit=0.02).at_most(0.01) == pytest.approx(1.0, abs=1e-6)
