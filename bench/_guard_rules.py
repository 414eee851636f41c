"""Who decides: the guard, and what others do, on the same looks. Each tells at which look it backs out, if it does."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from _guard_streams import Case, Counts

from backout.guard import ErrorRate, Errors, Look, Say, Watch
from backout.guard.budget import shared
from backout.guard.errors import Compared
from backout.guard.latency import Timed
from backout.guard.limits import Limited
from backout.guard.looks import Arm
from backout.guard.needed import for_errors

ALPHA, TOLERATED = 0.01, 0.005
THRESHOLD, THRESHOLD_S = 0.02, 0.5
_ASKED_AT = 20
BEFORE = 30
"""Looks before the release, of which the last ten are of the incident."""


@dataclass
class Said:
    """At which look (from 1) "back out" was said, and "continue" before that; None: never.

    Attributes:
        kept: Whether "continue" came within as many requests as were told to be needed at look 20; None: not asked.
    """

    back_out: int | None = None
    fine: int | None = None
    kept: bool | None = None


def guard_of_failures(case: Case, counts: Counts) -> Said:
    evidence, said, due, seen = Compared(worse_by=0.2), Said(), math.inf, 0
    rows = _rows(counts)
    for look, (n, m, x, y) in enumerate(rows, 1):
        seen += n + m
        if n or m:
            evidence = evidence.add(Arm(requests=n, errors=x), Arm(requests=m, errors=y))
            if evidence.is_harmful(ALPHA):
                said.back_out = look
                return said
        if said.fine is None and evidence.is_fine(TOLERATED, ALPHA):
            said.fine = look
            if case.needs and look > _ASKED_AT:
                said.kept = seen <= due
        if case.needs and look == _ASKED_AT and said.fine is None:
            due = seen + (for_errors(evidence, TOLERATED, ALPHA).requests or math.inf)
    if case.needs and said.fine is None and seen > due:
        said.kept = False
    return said


def guard_of_durations(case: Case, counts: Counts) -> Said:
    evidence, said = Timed(quantile=0.95, worse_by=0.25, edges_s=case.edges_s), Said()
    for look, (canary, control) in enumerate(
        zip(counts.canary.tolist(), counts.control.tolist(), strict=True), 1
    ):
        evidence = evidence.add(canary, control, 0.1)
        if evidence.is_harmful(ALPHA):
            said.back_out = look
            return said
        if said.fine is None and evidence.is_fine(ALPHA):
            said.fine = look
    return said


def guard_of_several(failures: Counts, durations: Counts) -> Said:
    """Errors, p95 and p99 share alpha."""
    parts = shared(ALPHA, {"errors": 1.0, "p95": 1.0, "p99": 1.0})
    errors = Compared(worse_by=0.2)
    p95, p99 = Timed(quantile=0.95, worse_by=0.25), Timed(quantile=0.99, worse_by=0.25)
    both = zip(durations.canary.tolist(), durations.control.tolist(), strict=True)
    for look, ((n, m, x, y), (canary, control)) in enumerate(zip(_rows(failures), both, strict=True), 1):
        errors = errors.add(Arm(requests=n, errors=x), Arm(requests=m, errors=y))
        p95, p99 = p95.add(canary, control), p99.add(canary, control)
        if errors.is_harmful(parts["errors"]) or p95.is_harmful(parts["p95"]) or p99.is_harmful(parts["p99"]):
            return Said(look)
    return Said()


def guard_alone(case: Case, counts: Counts) -> Said:
    evidence, said = Limited(limit=case.limit), Said()
    for look, (n, _, x, _) in enumerate(_rows(counts), 1):
        evidence = evidence.add(Arm(requests=n, errors=x))
        if evidence.is_harmful(ALPHA):
            said.back_out = look
            return said
        if said.fine is None and evidence.is_fine(ALPHA):
            said.fine = look
    return said


def guard_with_history(case: Case, counts: Counts) -> Said:
    """Without control arm, with the looks before the release: the incident began before it."""
    start, tick = datetime(2026, 1, 1, tzinfo=UTC), timedelta(seconds=15)
    watch = Watch(release="new", released_at=start, metrics=(ErrorRate(limit=case.limit),))
    for look, (n, _, x, _) in enumerate(_rows(counts)):
        began = start + (look - BEFORE) * tick
        arms = Errors(canary=Arm(requests=n, errors=x))
        watch = watch.add(Look(began=began, ended=began + tick, errors={"errors": arms}))
        if look >= BEFORE and watch.verdict(began + tick).say is Say.BACK_OUT:
            return Said(look - BEFORE + 1)
    return Said()


def over_four_times(values: np.ndarray, limit: float) -> Said:
    """More than a limit in four looks since the release: Argo's failureLimit: 3, Flagger's threshold: 4."""
    at = np.flatnonzero(values > limit)
    return Said(int(at[3]) + 1 if len(at) > 3 else None)


def over_in_a_row(values: np.ndarray, limit: float) -> Said:
    """More than a limit in three looks in a row."""
    row = 0
    for look, value in enumerate(values.tolist(), 1):
        row = row + 1 if value > limit else 0
        if row == 3:
            return Said(look)
    return Said()


def mann_whitney(canary: np.ndarray, control: np.ndarray) -> Said:
    """Kayenta's judge after each look from the tenth on: confLevel 0.98, tolerance 0.25, more is worse.

    The interval of the Hodges-Lehmann shift is by order statistics of all differences (normal approximation).
    """
    for look in range(10, len(canary) + 1):
        one, other = canary[:look], control[:look]
        one, other = one[~np.isnan(one)], other[~np.isnan(other)]
        m, n = len(one), len(other)
        rank = math.floor(m * n / 2 - 2.326 * math.sqrt(m * n * (m + n + 1) / 12))
        if rank < 1:
            continue
        middle = (m * n) // 2
        shifts = np.partition(np.subtract.outer(one, other).ravel(), (rank - 1, middle))
        if shifts[rank - 1] > 0.25 * abs(shifts[middle]):
            return Said(look)
    return Said()


def slow(case: Case, counts: Counts) -> Counts:
    """Return requests that took longer than an edge as failures."""
    after = bisect_left(case.edges_s, case.slow_s or 0.0) + 1
    arms = (counts.canary, counts.control)
    return Counts(*(one.sum(axis=1) for one in arms), *(one[:, after:].sum(axis=1) for one in arms))


def rates(requests: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return errors per request by look; not a number where there was none."""
    return np.divide(errors, requests, out=np.full(len(requests), np.nan), where=requests > 0)


def quantiles(buckets: np.ndarray, edges_s: tuple[float, ...]) -> np.ndarray:
    """Return each look's 95 % quantile as the edge above it."""
    below, total = buckets.cumsum(axis=1), buckets.sum(axis=1)
    index = (below < 0.95 * total[:, None]).sum(axis=1)
    found = np.array([*edges_s, edges_s[-1] * 2])[index]
    return np.where(total > 0, found, np.nan)


def _rows(counts: Counts) -> list[tuple[int, int, int, int]]:
    arrays = (counts.canary, counts.control, counts.canary_errors, counts.control_errors)
    return list(zip(*(one.tolist() for one in arrays), strict=True))
