"""Windows follow each other and none lies across the release; a histogram with other buckets is none."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from backout.clock import SystemClock
from backout.platforms.abilities import Arms
from backout.prometheus import Answered, NoFigure
from backout.redact import Redactor
from backout.signals.base import Reading, Span
from backout.signals.options import PrometheusErrors
from backout.signals.prometheus import PrometheusSignal, _bucketed

RELEASED = datetime(2026, 1, 1, 12, tzinfo=UTC)


def declared(url: str, **more: Any) -> PrometheusErrors:
    told: dict[str, Any] = {"requests": "requests_$side[$window]", "errors": "errors_$side[$window]"}
    return PrometheusErrors(kind="prometheus", url=url, window_s=60, delay_s=15, **told | more)


def windows(since_s: float, now_s: float, not_before_s: float = 0) -> list[tuple[float, float]]:
    options = declared("http://127.0.0.1:9")
    signal = PrometheusSignal(options, SystemClock(), Redactor())
    span = Span(
        since=RELEASED + timedelta(seconds=since_s),
        now=RELEASED + timedelta(seconds=now_s),
        released_at=RELEASED,
        arms=None,
        deadline_s=1,
        not_before=RELEASED + timedelta(seconds=not_before_s) if not_before_s else None,
    )
    found = signal._windows(span)
    return [((a - RELEASED).total_seconds(), (b - RELEASED).total_seconds()) for a, b in found]


def test_windows_before_the_release_end_at_it() -> None:
    assert windows(-130, 80) == [(-120, -60), (-60, 0), (0, 60)]


def test_only_whole_windows_that_prometheus_surely_has() -> None:
    assert windows(0, 74) == []
    assert windows(0, 75) == [(0, 60)]
    assert windows(60, 200) == [(60, 120), (120, 180)]


def test_what_is_far_back_comes_with_the_next_reading() -> None:
    found = windows(0, 100_000)
    assert (len(found), found[-1]) == (60, (3540, 3600))


def test_what_came_while_a_side_changed_hands_is_not_asked() -> None:
    assert windows(-60, 320, not_before_s=100) == [(-60, 0), (100, 160), (160, 220), (220, 280)]


def test_queries_with_a_slip_are_no_configuration() -> None:
    with pytest.raises(ValidationError, match="window"):
        declared("http://127.0.0.1:9", errors="sum(errors_total)")
    with pytest.raises(ValidationError, match="side"):
        declared("http://127.0.0.1:9", errors="sum(increase(errors_total[$window]))")


def vector(*found: tuple[str, float]) -> Answered:
    return Answered("vector", tuple(({"le": le}, figure) for le, figure in found))


def test_a_histogram_is_taken_apart() -> None:
    assert _bucketed(vector(("0.1", 7.2), ("+Inf", 10), ("1", 8.9)), (0.1, 1)) == (7, 2, 1)


def test_each_bucket_is_extrapolated_by_itself_and_none_falls() -> None:
    assert _bucketed(vector(("0.1", 7.6), ("1", 7.4), ("+Inf", 7.4)), (0.1, 1)) == (8, 0, 0)


@pytest.mark.parametrize(
    "answer",
    [
        vector(),
        vector(("0.1", 1), ("+Inf", 2)),
        vector(("0.1", 1), ("1", 1), ("+Inf", float("nan"))),
        vector(("0.1", 1), ("1", 1), ("+Inf", float("inf"))),
        vector(("0.1", -3), ("1", 1), ("+Inf", 1)),
        vector(("0.1", 1), ("slow", 1), ("+Inf", 1)),
        Answered("vector", (({}, 1.0),)),
    ],
)
def test_what_is_no_histogram_with_those_buckets_is_no_data(answer: Answered) -> None:
    with pytest.raises(NoFigure):
        _bucketed(answer, (0.1, 1))


Asked = Callable[[str, float], tuple[int, str]]


@contextmanager
def answering(answer: Asked) -> Iterator[str]:
    """Serve what `answer` gives for a query at so many seconds after the release: status and body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            status, body = answer(asked["query"][0], float(asked["time"][0]) - RELEASED.timestamp())
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def said(*figures: object) -> tuple[int, str]:
    result = [{"metric": {}, "value": [0, str(one)]} for one in figures]
    return 200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})


def read(
    url: str, now_s: float, memory: Any = None, *, since_s: float = 0, arms: Arms | None = None
) -> Reading:
    span = Span(
        since=RELEASED + timedelta(seconds=since_s),
        now=RELEASED + timedelta(seconds=now_s),
        released_at=RELEASED,
        arms=arms or Arms("green", ("blue",), 0.1),
        deadline_s=10,
    )
    return PrometheusSignal(declared(url), SystemClock(), Redactor()).read(span, memory)


@pytest.mark.parametrize(
    "body",
    [
        said("-3"),
        said("NaN"),
        said("+Inf"),
        said("1e300"),
        said(1, 2),
        (200, "garbage"),
        (200, "[]"),
        (
            200,
            '{"status": "success", "data": {"resultType": "vector", "result": [{"metric": 3, "value": [0, "1"]}]}}',
        ),
        (503, "starting"),
    ],
)
def test_what_is_no_number_of_requests_is_a_gap_and_never_zero(body: tuple[int, str]) -> None:
    with answering(lambda _query, _at: body) as url:
        found = read(url, 100)
    assert found.looks == () and found.why is not None


def test_windows_that_were_not_answered_are_asked_again() -> None:
    away = [True]
    with answering(lambda _query, at: (503, "busy") if away[0] and at > 100 else said(7)) as url:
        first = read(url, 200)
        assert [(one.ended - RELEASED).total_seconds() for one in first.looks] == [60]
        away[0] = False
        again = read(url, 200, first.memory)
    assert [(one.ended - RELEASED).total_seconds() for one in again.looks] == [120, 180]


def test_hours_without_a_series_are_passed_over_and_not_asked_for_ever() -> None:
    with answering(lambda _query, at: said(7) if at > 3600 else said()) as url:
        first = read(url, 4000)
        assert first.looks == () and "gives no series" in str(first.why)
        assert len(read(url, 4000, first.memory).looks) == 6


def test_before_the_release_the_requests_were_on_the_other_sides() -> None:
    def answer(query: str, at: float) -> tuple[int, str]:
        return said(500 if ("blue" in query) == (at <= 0) else 0)

    with answering(answer) as url:
        before, after = read(url, 80, since_s=-60, arms=Arms("green", (), 1.0, rest=("blue",))).looks
    assert (before.errors["errors"].canary.requests, after.errors["errors"].canary.requests) == (500, 500)
