"""When failures began."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from backout.guard.looks import Arm
from backout.guard.onset import KEPT, Counted, onset, remembered

START, LOOK = datetime(2026, 1, 1, tzinfo=UTC), timedelta(seconds=15)


def series(*errors: int, requests: int = 200) -> list[Counted]:
    return [
        Counted(began=START + n * LOOK, ended=START + (n + 1) * LOOK, arm=Arm(requests=requests, errors=e))
        for n, e in enumerate(errors)
    ]


def test_a_step_is_found_and_lies_between_its_moments() -> None:
    found = onset(series(*[1] * 30, *[12] * 10))
    assert found is not None
    assert found.earliest <= START + 30 * LOOK <= found.latest
    assert found.latest - found.earliest <= 3 * LOOK
    assert (found.before, found.after) == (0.005, 0.06)


def test_without_a_rise_there_is_none() -> None:
    assert onset([]) is None
    assert onset(series(4)) is None
    assert onset(series(*[4] * 40)) is None
    assert onset(series(*[12] * 20, *[1] * 20)) is None, "it got better"
    assert onset(series(*[0] * 40, requests=0)) is None


def test_chance_alone_is_hardly_ever_a_rise() -> None:
    chance = random.Random(3)
    for _ in range(20):
        errors = [sum(chance.random() < 0.02 for _ in range(100)) for _ in range(40)]
        assert onset(series(*errors, requests=100)) is None


def test_one_error_more_is_not_a_rise() -> None:
    assert onset(series(*[0] * 20, 1, requests=3)) is None


def test_what_is_remembered_is_bounded_and_loses_no_request() -> None:
    kept: tuple[Counted, ...] = ()
    whole = series(*[1] * 2_000, *[30] * 100)
    for one in whole:
        kept = remembered(kept, one)
    assert len(kept) <= KEPT
    assert sum(one.arm.errors for one in kept) == 2_000 + 3_000
    assert all(a.ended == b.began for a, b in pairwise(kept))
    found = onset(kept)
    assert found is not None and found.earliest <= START + 2_000 * LOOK <= found.latest
