"""Errors of a canary beside a control arm: never wrong more often than promised, whoever looks and however often."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import ville
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from backout.guard.errors import Compared, log_factors
from backout.guard.looks import Arm

RATES = st.floats(0.001, 0.6)
SIZES = st.integers(0, 3)


def arm(requests: int, errors: int = 0) -> Arm:
    return Arm(requests=requests, errors=errors)


def binomial(n: int, k: int, rate: float) -> float:
    return math.comb(n, k) * rate**k * (1 - rate) ** (n - k)


def outcomes(n: int, rate: float, m: int, other: float) -> list[tuple[Arm, Arm, float]]:
    """Return all that one look of n and m requests can show, with its probability."""
    return [
        (arm(n, x), arm(m, y), binomial(n, x, rate) * binomial(m, y, other))
        for x, y in itertools.product(range(n + 1), range(m + 1))
    ]


@given(
    control=st.tuples(RATES, RATES),
    less=st.floats(0, 1),
    sizes=st.tuples(SIZES, SIZES, SIZES, SIZES),
    worse_by=st.sampled_from([0.0, 0.2, 1.0]),
    enough=st.floats(0.5, 5),
)
@settings(max_examples=15, deadline=None)
def test_harm_has_an_expectation_of_at_most_one_whenever_one_stops(
    control: tuple[float, float],
    less: float,
    sizes: tuple[int, int, int, int],
    worse_by: float,
    enough: float,
) -> None:
    """Every outcome of two looks, with rates that change between them, and a canary that is as bad as is allowed or better."""
    expected = 0.0
    n, m, n2, m2 = sizes
    first, second = (min(1.0, rate * (1 + worse_by) * less) for rate in control)
    for canary, other, likely in outcomes(n, first, m, control[0]):
        one = Compared(worse_by=worse_by).add(canary, other)
        if one.log_harm >= math.log(enough):  # somebody stops here
            expected += likely * math.exp(one.log_harm)
            continue
        for canary2, other2, likely2 in outcomes(n2, second, m2, control[1]):
            expected += likely * likely2 * math.exp(one.add(canary2, other2).log_harm)
    assert expected <= 1 + 1e-9


@given(
    control=st.tuples(RATES, RATES), sizes=st.tuples(SIZES, SIZES, SIZES, SIZES), more=st.floats(0.02, 0.4)
)
@settings(max_examples=15, deadline=None)
def test_fine_has_an_expectation_of_at_most_one_for_a_canary_that_is_not(
    control: tuple[float, float], sizes: tuple[int, int, int, int], more: float
) -> None:
    expected = 0.0
    n, m, n2, m2 = sizes
    for canary, other, likely in outcomes(n, control[0] + more, m, control[0]):
        one = Compared(worse_by=0.2).add(canary, other)
        for canary2, other2, likely2 in outcomes(n2, control[1] + more, m2, control[1]):
            expected += likely * likely2 * math.exp(one.add(canary2, other2).log_fine(more))
    assert expected <= 1 + 1e-9


def test_what_is_fine_has_the_exponent_of_its_proof() -> None:
    """N(1 - A), with A as the first error of the canary shows it."""
    before = Compared(worse_by=0.2)
    logs = before.add(arm(400, 1), arm(3_600)).better
    room = before.add(arm(400), arm(3_600)).room
    assert room == pytest.approx([400 * (1 - math.exp(log)) for log in logs])


@pytest.mark.parametrize(
    "canary,control,allowed",
    [
        (arm(100, 7), arm(900, 9), 1.0),
        (arm(50, 0), arm(450, 4), 1.2),
        (arm(3_000, 41), arm(3_000, 20), 1.5),
    ],
)
def test_the_factor_is_the_one_of_a_published_library(canary: Arm, control: Arm, allowed: float) -> None:
    """`ville`: given the errors of both arms, a Beta mixture against the canary's part of them. Ours, mixed over the same prior."""
    base = allowed * canary.requests
    part = base / (base + control.requests)
    errors = [1.0] * canary.errors + [0.0] * control.errors
    theirs = ville.BernoulliTest(p0=part, prior=(1.0, 1.0)).fit(np.array(errors)).log_e_values_[-1]

    parts = (np.arange(20_000) + 0.5) / 20_000
    sizes = [(r, math.log(r)) for r in (parts / (1 - parts) * control.requests / base).tolist()]
    ours = np.logaddexp.reduce(log_factors(canary, control, allowed, sizes)) - math.log(len(sizes))
    assert ours == pytest.approx(theirs, abs=1e-4)


def test_it_decides_as_the_published_test_where_that_is_clear() -> None:
    """Ten looks, equal arms, 5 % beside 0.5 %, and the other way round; and alike."""
    for x, y, harmful in ((10, 1, True), (1, 10, False), (5, 5, False)):
        ours = Compared(worse_by=0.0)
        for _ in range(10):
            ours = ours.add(arm(200, x), arm(200, y))
        theirs = ville.BernoulliTest(p0=0.5, alpha=0.01).fit(np.array(([1.0] * x + [0.0] * y) * 10))
        assert ours.is_harmful(0.01) is harmful
        assert bool(theirs.rejected_) is (x != y)  # two-sided


def test_an_incident_of_both_arms_is_no_harm() -> None:
    evidence = Compared(worse_by=0.2)
    for look in range(60):
        evidence = evidence.add(
            *((arm(200, 1), arm(1800, 9)) if look < 30 else (arm(200, 40), arm(1800, 360)))
        )
        assert not evidence.is_harmful(0.01)


def test_a_share_that_changes_with_the_rate_is_no_harm() -> None:
    """All together the canary has 10.0 % and the control arm 1.9 %: Simpson's paradox."""
    evidence = Compared(worse_by=0.2)
    for _ in range(20):
        evidence = evidence.add(arm(10), arm(990, 10))
    for _ in range(20):
        evidence = evidence.add(arm(990, 100), arm(100, 10))
    assert evidence.canary.rate > 5 * evidence.control.rate
    assert not evidence.is_harmful(0.01)


def test_harm_that_begins_late_is_found_as_well() -> None:
    evidence, looks = Compared(worse_by=0.2), 0
    for _ in range(400):
        evidence = evidence.add(arm(200, 1), arm(1800, 9))
    while not evidence.is_harmful(0.01):
        evidence, looks = evidence.add(arm(200, 10), arm(1800, 9)), looks + 1
    assert looks <= 5


def test_no_alarm_is_not_fine() -> None:
    evidence = Compared(worse_by=0.2)
    for minute in range(60):  # three requests in each
        evidence = evidence.add(arm(0), arm(3)) if minute % 3 else evidence.add(arm(1), arm(2))
    assert not evidence.is_harmful(0.01)
    assert not evidence.is_fine(0.005, 0.01)


def test_fine_takes_about_as_many_requests_as_the_rule_of_three_says() -> None:
    """Without an error the bound is a little above -ln(alpha)/n, never below."""
    evidence = Compared(worse_by=0.2).add(arm(2_000), arm(200_000))
    assert -math.log(0.01) / 2_000 < evidence.at_most(0.01) < 2 * -math.log(0.01) / 2_000


@given(counts=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_more_errors_of_the_canary_are_never_less_evidence(counts: list[tuple[int, int]]) -> None:
    less = more = Compared(worse_by=0.2)
    for x, y in counts:
        less = less.add(arm(100, x), arm(300, y))
        more = more.add(arm(100, x + 1), arm(300, y))
    assert more.log_harm >= less.log_harm
    assert more.at_most(0.01) >= less.at_most(0.01)


@given(counts=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=2, max_size=6))
@settings(max_examples=40, deadline=None)
def test_the_order_of_looks_is_nothing_to_what_is_fine(counts: list[tuple[int, int]]) -> None:
    one = other = Compared(worse_by=0.2)
    for x, y in counts:
        one = one.add(arm(40, x), arm(90, y))
    for x, y in reversed(counts):
        other = other.add(arm(40, x), arm(90, y))
    assert one.log_fine(0.01) == pytest.approx(other.log_fine(0.01))
    assert (one.canary, one.control) == (other.canary, other.control)


@given(
    counts=st.lists(st.tuples(SIZES, SIZES, SIZES, SIZES), max_size=8),
    cut=st.integers(0, 8),
)
@settings(max_examples=40, deadline=None)
def test_it_goes_on_after_a_restart_where_it_was(counts: list[tuple[int, int, int, int]], cut: int) -> None:
    looks = [(arm(n + x, x), arm(m + y, y)) for n, x, m, y in counts]
    whole = halted = Compared(worse_by=0.2)
    for look in looks:
        whole = whole.add(*look)
    for look in looks[:cut]:
        halted = halted.add(*look)
    halted = Compared.model_validate_json(halted.model_dump_json())
    for look in looks[cut:]:
        halted = halted.add(*look)
    assert halted == whole


def test_a_look_in_which_one_arm_has_no_request_compares_nothing() -> None:
    """Kept for the next look it would: a rate of both arms that rises between them would be the canary's harm."""
    evidence = Compared(worse_by=0.2)
    for _ in range(20):
        evidence = evidence.add(arm(0), arm(9)).add(arm(5, 5), arm(0))
    assert evidence == Compared(worse_by=0.2)
    assert (evidence.log_harm, evidence.at_most(0.01)) == (0.0, pytest.approx(1.0))


def test_millions_of_errors_are_a_number_still() -> None:
    evidence = Compared(worse_by=0.2)
    for _ in range(20):
        evidence = evidence.add(arm(10_000_000, 9_000_000), arm(90_000_000, 1))
    assert math.isfinite(evidence.log_harm) and evidence.is_harmful(1e-300)
    assert evidence.at_most(0.01) == pytest.approx(0.9, abs=0.15)
    for _ in range(20):
        evidence = evidence.add(arm(10_000_000, 1), arm(90_000_000, 80_000_000))
    assert math.isfinite(evidence.log_fine(0.005))
    assert Compared.model_validate_json(evidence.model_dump_json()) == evidence


def test_more_errors_than_requests_are_refused() -> None:
    with pytest.raises(ValidationError, match="3 errors of 2 requests"):
        arm(2, 3)
    with pytest.raises(ValidationError):
        arm(-1, -2)
