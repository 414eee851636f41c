"""Requests of two arms by chance, look by look: what the guard and the others are shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backout.guard.latency import EDGES_S
from backout.guard.retries import FirstTries

PROMETHEUS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The default buckets of Prometheus' clients."""


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        canary: Requests of the canary a look, on average; the control arm has nine times as many (`shares`: others).
        rates: Chance of a failure: in both arms before, and in the canary since the release.
        since: From this look on the canary is another one than the control arm.
        incident: Rate of both arms from look 40 to 59 (durations: so many times as long).
        clumps: How often a failing request is sent on average.
        ids: Whether each request has an id.
        slower: So many times as long requests take in the canary; None: the case is about failures.
        edges_s: Buckets of durations.
        slow_s: What counts for the guard are requests that take longer than this edge.
        alone: There is no control arm.
        before: An incident of everybody begins ten looks before the release.
        metrics: So many metrics share alpha.
    """

    name: str
    canary: float
    rates: tuple[float, float] = (0.005, 0.005)
    since: int = 0
    incident: float | None = None
    clumps: float = 1.0
    ids: bool = False
    slower: float | None = None
    edges_s: tuple[float, ...] = EDGES_S
    slow_s: float | None = None
    alone: bool = False
    before: bool = False
    metrics: int = 1
    shares: tuple[float, ...] = (0.1,)
    looks: int = 120
    runs: int = 480
    needs: bool = False
    limit: float = 0.02


@dataclass(frozen=True)
class Counts:
    """Of each look: requests and failures (or buckets) of both arms."""

    canary: np.ndarray
    control: np.ndarray
    canary_errors: np.ndarray
    control_errors: np.ndarray


def failing(case: Case, random: np.random.Generator) -> Counts:
    """Return one run of a case about failures."""
    look = np.arange(case.looks)
    share = np.array(case.shares)[np.minimum(look * len(case.shares) // case.looks, len(case.shares) - 1)]
    whole = case.canary / 0.1
    canary, control = random.poisson(whole * share), random.poisson(whole * (1 - share))
    before, after = case.rates
    control_rate = np.full(case.looks, before)
    canary_rate = np.where(look < case.since, before, after)
    if case.incident is not None:
        at = (look >= 40) & (look < 60)
        control_rate[at] = canary_rate[at] = case.incident
    if case.before:
        canary_rate = np.where(look < 20, before, after)
    counts = [canary, control, random.binomial(canary, canary_rate), random.binomial(control, control_rate)]
    if case.clumps > 1:
        counts = _with_retries(counts, case, random)
    return Counts(*counts)


def _with_retries(counts: Sequence[np.ndarray], case: Case, random: np.random.Generator) -> list[np.ndarray]:
    """Return the counts with each failing request sent again, and told apart by ids where it has one."""
    canary, control, *errors = (one.copy() for one in counts)
    first = FirstTries()
    for look in range(case.looks):
        for arm, requests in enumerate((canary, control)):
            failed = int(errors[arm][look])
            tries = random.geometric(1 / case.clumps, failed)
            ids = [f"{arm}-{look}-{one}" for one in range(failed) for _ in range(tries[one])]
            counted = sum(first.only_first(ids)) if case.ids else len(ids)
            errors[arm][look] = counted
            requests[look] += counted - failed
    return [canary, control, *errors]


def lasting(case: Case, random: np.random.Generator) -> Counts:
    """Return one run of a case about durations: lognormal around 0.1 s, buckets by look."""
    scale = np.ones(case.looks)
    if case.incident is not None:
        scale[40:60] = case.incident
    canary = random.poisson(case.canary, case.looks)
    control = random.poisson(case.canary * 9, case.looks)
    slow = scale * (case.slower or 1.0)
    nothing = np.zeros(case.looks, dtype=int)
    return Counts(
        np.array(
            [random.multinomial(n, _chances(case.edges_s, s)) for n, s in zip(canary, slow, strict=True)]
        ),
        np.array(
            [random.multinomial(n, _chances(case.edges_s, s)) for n, s in zip(control, scale, strict=True)]
        ),
        nothing,
        nothing,
    )


_KNOWN: dict[tuple[tuple[float, ...], float], np.ndarray] = {}


def _chances(edges_s: tuple[float, ...], scale: float) -> np.ndarray:
    if (edges_s, scale) not in _KNOWN:
        below = [
            0.5 * (1 + math.erf(math.log(edge / (0.1 * scale)) / (0.6 * math.sqrt(2)))) for edge in edges_s
        ]
        _KNOWN[edges_s, scale] = np.diff([0.0, *below, 1.0])
    return _KNOWN[edges_s, scale]
