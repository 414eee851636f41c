"""`probes`: many requests, with what they bound."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from backout.checks.run import run_checks
from backout.release import Baseline

from .support import FAIL, FAST, INCONCLUSIVE, PASS, outcomes, subject

pytestmark = pytest.mark.slow


NORMAL = Baseline(requests=300, errors=0, p95_ms=200.0, measured_at=datetime.now(UTC))


def test_probes_prove_both_with_as_many_requests_as_the_limit_needs(check: Any, serve: Any) -> None:
    service = serve()
    made = check("probes", url=service.url, max_error_rate=0.02, max_p95_ms=2000, **FAST)
    results, baseline = made.measure(subject(), 30)
    assert outcomes(results) == {"error_rate": PASS, "response_time": PASS}
    assert service.seen == 150 == baseline.requests
    assert service.connections <= 4, "connections are kept"
    rate, p95 = results
    assert (rate.measured, rate.threshold, rate.unit) == (0.0, 0.02, "share")
    assert (p95.threshold, p95.unit) == (2000, "ms")
    assert p95.measured == baseline.p95_ms
    assert str(rate.window).startswith("150 requests in ")


def test_probes_too_few_are_inconclusive_and_say_how_many_more(check: Any, serve: Any) -> None:
    made = check("probes", url=serve().url, max_error_rate=0.01, max_p95_ms=2000, count=50, **FAST)
    rate, p95 = made.run(subject(), 30)
    assert (rate.outcome, str(rate.more)) == (INCONCLUSIVE, "About 249 more requests would prove it")
    assert (p95.outcome, str(p95.more)) == (INCONCLUSIVE, "About 9 more requests in one round would prove it")


def test_probes_that_fail(check: Any, serve: Any) -> None:
    service = serve(lambda n: (500 if n % 5 == 0 else 200, b"", {}))
    # One after the other: with several under way, a busy machine asks more until an answer is counted.
    made = check(
        "probes", url=service.url, max_error_rate=0.01, max_p95_ms=2000, per_second=3000, concurrency=1
    )
    rate, p95 = made.run(subject(), 30)
    assert rate.outcome is FAIL
    assert rate.measured == pytest.approx(0.2, abs=0.05)
    # 7 of 300 fail a limit of 1 % whatever the rest does: the 35th request.
    assert service.seen == 35
    assert f"stopped after {service.seen} of 300: the rest could not change it" in str(rate.evidence)
    assert str(rate.window).startswith(f"stopped after {service.seen} of 300: {service.seen} requests in ")
    assert p95.outcome is INCONCLUSIVE, "a part that was chosen by what was seen proves nothing"
    assert f"stopped after {service.seen} of 300: the other figure failed" in str(p95.evidence)


def test_probes_what_is_not_answered_is_not_answered_in_time(check: Any, serve: Any) -> None:
    service = serve(lambda n: (500 if n % 5 == 0 else 200, b"", {}))
    made = check("probes", url=service.url, max_error_rate=0.5, max_p95_ms=2000, count=300, **FAST)
    rate, p95 = made.run(subject(), 30)
    assert p95.outcome is FAIL
    assert str(p95.evidence).startswith("Fewer than 95 % were answered")
    assert rate.outcome is INCONCLUSIVE
    assert service.seen < 150


def test_probes_a_bad_release_is_known_at_once(check: Any, serve: Any) -> None:
    service = serve(lambda _n: (500, b"", {}))
    made, started_s = check("probes", url=service.url, max_error_rate=0.01, per_second=10), time.monotonic()
    assert outcomes(made.run(subject(), 60))["error_rate"] is FAIL
    assert time.monotonic() - started_s < 5, "300 requests would take 30 s"
    assert service.seen <= 7 + 4


def test_probes_verifications_add_up(check: Any, serve: Any) -> None:
    service = serve()
    made = [check("probes", url=service.url, max_error_rate=0.01, max_p95_ms=2000, count=120, **FAST)]
    seen, earlier = [], None
    for _ in range(3):
        found = run_checks(made, subject(earlier=earlier), 30)
        seen.append(outcomes(found.results)["error_rate"])
        earlier = found.baseline
        assert earlier is not None
    assert seen == [INCONCLUSIVE, INCONCLUSIVE, PASS]
    assert (earlier.requests, earlier.errors, service.seen) == (360, 0, 360)
    (rate,) = (r for r in found.results if r.proves == "error_rate")
    assert "0 of 360 requests failed (240 of the requests were asked earlier)" in str(rate.evidence)
    assert str(rate.window).endswith(", 360 with those asked earlier")
    (p95,) = (r for r in found.results if r.proves == "response_time")
    assert str(p95.window).startswith("120 requests in ")


def test_probes_a_failure_seen_earlier_is_not_forgotten(check: Any, serve: Any) -> None:
    service = serve(lambda n: (500 if n in (10, 20) else 200, b"", {}))
    made = [check("probes", url=service.url, max_error_rate=0.01, max_p95_ms=2000, count=300, **FAST)]
    first = run_checks(made, subject(), 30)
    second = run_checks(made, subject(earlier=first.baseline), 30)
    assert outcomes(first.results)["error_rate"] is INCONCLUSIVE
    assert outcomes(second.results)["error_rate"] is INCONCLUSIVE, "300 without a failure alone would pass"
    assert outcomes(run_checks(made, subject(), 30).results)["error_rate"] is PASS
    assert second.baseline is not None
    assert (second.baseline.requests, second.baseline.errors) == (600, 2)


def test_probes_what_was_seen_earlier_covers_for_nothing(check: Any, serve: Any) -> None:
    service = serve(lambda _n: (500, b"", {}))
    earlier = Baseline(requests=100_000, errors=0, p95_ms=5, measured_at=datetime.now(UTC))
    made = check("probes", url=service.url, max_error_rate=0.01, max_p95_ms=2000, count=300, **FAST)
    rate, _ = made.run(subject(earlier=earlier), 30)
    assert (rate.outcome, rate.measured) == (FAIL, 1.0)
    assert f"{service.seen} of {service.seen} requests failed" in str(rate.evidence)


def test_probes_that_measure_nothing_forget_nothing(check: Any, serve: Any) -> None:
    earlier = Baseline(requests=100, errors=2, p95_ms=5, measured_at=datetime.now(UTC))
    made = [check("probes", url=serve().url, max_error_rate=0.01)]
    assert run_checks(made, subject(earlier=earlier), 0.0).baseline == earlier


def test_probes_only_the_first_check_is_told_what_was_seen_earlier(check: Any, serve: Any) -> None:
    earlier = Baseline(requests=1000, errors=0, p95_ms=5, measured_at=datetime.now(UTC))
    made = [
        check("probes", name=name, url=serve().url, max_error_rate=0.05, max_p95_ms=2000, count=20, **FAST)
        for name in ("first", "second")
    ]
    found = run_checks(made, subject(earlier=earlier), 30)
    rates = {r.name: r.outcome for r in found.results if r.proves == "error_rate"}
    assert rates == {"first": PASS, "second": INCONCLUSIVE}
    assert found.baseline is not None
    assert found.baseline.requests == 1020


def test_probes_client_errors_are_no_failures_of_the_service(check: Any, serve: Any) -> None:
    service = serve(lambda _n: (404, b"", {}))
    assert (
        outcomes(check("probes", url=service.url, max_error_rate=0.05, count=100, **FAST).run(subject(), 30))[
            "error_rate"
        ]
        is PASS
    )


def test_probes_slow_answers(check: Any, serve: Any) -> None:
    service = serve()
    service.answer = lambda _n: (service.stopping.wait(0.04), (200, b"", {}))[1]
    made = check(
        "probes",
        url=service.url,
        count=80,
        max_error_rate=0.05,
        max_p95_ms=20,
        per_second=500,
        concurrency=16,
    )
    rate, p95 = made.run(subject(), 30)
    assert (rate.outcome, p95.outcome) == (INCONCLUSIVE, FAIL)
    assert service.seen < 40, "it ends when the failure is certain"
    assert p95.measured is not None
    assert p95.measured >= 40


def test_probes_nobody_there(check: Any, free_port: Any) -> None:
    made = check("probes", url=f"http://127.0.0.1:{free_port()}", max_error_rate=0.05, max_p95_ms=100, **FAST)
    results, baseline = made.measure(subject(), 30)
    assert outcomes(results) == {"error_rate": FAIL, "response_time": FAIL}
    assert baseline.errors == baseline.requests > 0
    assert baseline.p95_ms == 5000, "what is not answered counts as long as the time-out"
    assert all(r.model_dump_json() for r in results), "no infinity in a document"


def test_probes_without_limit_or_window_are_inconclusive_and_name_the_key(check: Any, serve: Any) -> None:
    rate, p95 = check("probes", url=serve().url, name="front", count=100, **FAST).run(subject(), 30)
    assert (rate.outcome, p95.outcome) == (INCONCLUSIVE, INCONCLUSIVE)
    assert "`max_error_rate` of check front" in str(rate.more)
    assert "`max_p95_ms` of check front" in str(p95.more)


def test_probes_take_the_pre_release_window_for_normal(check: Any, serve: Any) -> None:
    made = check("probes", url=serve().url, **FAST)
    assert outcomes(made.run(subject(normal=NORMAL), 30)) == {"error_rate": PASS, "response_time": PASS}
    worse = serve(lambda n: (500 if n % 10 == 0 else 200, b"", {}))
    assert (
        outcomes(check("probes", url=worse.url, **FAST).run(subject(normal=NORMAL), 30))["error_rate"] is FAIL
    )


def test_probes_what_was_normal_then_is_normal_now(check: Any, serve: Any) -> None:
    """A window as bad as the one before is no failure: it was so before the release."""
    service = serve(lambda n: (500 if n % 20 == 0 else 200, b"", {}))
    made = check("probes", url=service.url, count=600, **FAST)
    _, _ = made.measure(subject(), 30)
    normal = Baseline(requests=600, errors=30, p95_ms=500, measured_at=datetime.now(UTC))
    assert outcomes(made.run(subject(normal=normal), 30))["error_rate"] is PASS


def test_probes_end_by_the_deadline_with_what_they_have(check: Any, serve: Any) -> None:
    service = serve()
    made = check("probes", url=service.url, max_error_rate=0.01, max_p95_ms=500, per_second=50)
    started_s = time.monotonic()
    rate, _ = made.run(subject(), 1.0)
    assert time.monotonic() - started_s < 2
    assert rate.outcome is INCONCLUSIVE
    assert 20 <= service.seen <= 55
    assert rate.more is not None


def test_probes_keep_their_rate(check: Any, serve: Any) -> None:
    service, started_s = serve(), time.monotonic()
    check("probes", url=service.url, count=60, per_second=100).run(subject(), 30)
    assert 0.55 < time.monotonic() - started_s < 3
    assert service.seen == 60
