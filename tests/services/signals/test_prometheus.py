"""Windows of a real Prometheus; what it cannot tell is a gap that says why, never zero."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backout.clock import SystemClock
from backout.platforms.abilities import Arms
from backout.redact import Redactor
from backout.signals.base import Reading, Span
from backout.signals.options import PrometheusErrors, PrometheusLatency
from backout.signals.prometheus import PrometheusSignal

pytestmark = pytest.mark.slow

REQUESTS = 'sum(increase(requests_total{job="$side"}[$window]))'
ARMS = Arms("t", (), None)


def read(
    options: PrometheusErrors | PrometheusLatency, arms: Arms | None = ARMS, *, back_s: float = 10
) -> Reading:
    now = datetime.now(UTC)
    since = now - timedelta(seconds=back_s)
    span = Span(since=since, now=now, released_at=since, arms=arms, deadline_s=10)
    return PrometheusSignal(options, SystemClock(), Redactor()).read(span, None)


def declared(url: str, **more: Any) -> PrometheusErrors:
    told: dict[str, Any] = {
        "requests": REQUESTS,
        "errors": 'sum(increase(errors_total{job="$side"}[$window]))',
    }
    return PrometheusErrors(kind="prometheus", url=url, window_s=10, delay_s=0, **told | more)


def test_a_window_is_counted_in_the_release_and_beside_it(prometheus: Any) -> None:
    url, _ = prometheus
    (look,) = read(declared(url)).looks
    assert look.errors["errors"].canary.requests > 100
    assert (look.errors["errors"].canary.errors, look.errors["errors"].control) == (0, None)
    none = {
        "requests": REQUESTS + " or vector(0)",
        "errors": 'sum(increase(errors_total{job="$side"}[$window])) or vector(0)',
    }
    beside = declared(url, **none)
    (look,) = read(beside, Arms("t", ("other",), 0.5)).looks
    control = look.errors["errors"].control
    assert (control.requests if control else None, look.share) == (0, 0.5)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"requests": 'sum(increase(nothing_total{job="$side"}[$window]))'}, "gives no series"),
        ({"errors": 'sum(increase(errors_total{job="$side"}[$window])) / 0'}, "gives nan"),
        ({"errors": "sum(($side $window"}, "parse error"),
        ({"url": "http://127.0.0.1:9"}, "did not answer"),
    ],
)
def test_what_it_cannot_tell_is_a_gap_and_says_why(prometheus: Any, change: dict[str, Any], why: str) -> None:
    found = read(declared(**{"url": prometheus[0]} | change))
    assert found.looks == ()
    assert why in str(found.why)


def test_a_time_without_samples_is_a_gap(prometheus: Any) -> None:
    found = read(declared(prometheus[0]), back_s=3620)
    assert len(found.looks) < 60
    assert "gives no series" in str(found.why)


def test_sides_cannot_be_told_apart_where_there_are_none(prometheus: Any) -> None:
    found = read(declared(prometheus[0]), None)
    assert found.looks == () and "no side" in str(found.why)


def test_a_histogram_of_other_buckets_is_named(prometheus: Any) -> None:
    options = PrometheusLatency(
        kind="prometheus-latency",
        url=prometheus[0],
        buckets="increase(requests_total[$window])",
        window_s=10,
        delay_s=0,
    )
    found = read(options)
    assert found.looks == () and "edges_s" in str(found.why)
