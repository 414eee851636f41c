"""`prometheus`: a query of a real server, never a pass without a figure."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from backout.checks.base import CheckResult

from .support import FAIL, INCONCLUSIVE, PASS, subject

pytestmark = pytest.mark.slow


def ask(
    check: Any,
    prometheus: Any,
    query: str,
    *,
    ago_s: float = 3600,
    deployed_at: datetime | None = None,
    **options: Any,
) -> CheckResult:
    given = {"url": prometheus[0], "query": query, "proves": "error_rate", "window_s": 2, **options}
    seen = subject(changed_at=datetime.now(UTC) - timedelta(seconds=ago_s), release_deployed_at=deployed_at)
    (result,) = check("prometheus", **given).run(seen, 10)
    assert isinstance(result, CheckResult)
    return result


def ask_until(measured: float, *args: Any, **options: Any) -> CheckResult:
    """Ask until Prometheus has scraped the value."""
    ends_s = time.monotonic() + 10
    while (result := ask(*args, **options)).measured != measured and f"now {measured:g}" not in str(
        result.evidence
    ):
        assert time.monotonic() < ends_s, result
        time.sleep(0.05)
    return result


ERRORS = "sum(rate(errors_total[$window])) / sum(rate(requests_total[$window]))"


def test_prometheus_against_a_limit(check: Any, prometheus: Any) -> None:
    good = ask(check, prometheus, ERRORS, limit=0.01)
    assert (good.outcome, good.measured, good.threshold) == (PASS, 0.0, 0.01)
    bad = ask(check, prometheus, "slow_ms", limit=10, proves="response_time")
    assert (bad.outcome, bad.measured, bad.proves) == (FAIL, 20.0, "response_time")
    assert ask(check, prometheus, "slow_ms", limit=10, better="higher").outcome is PASS
    assert ask(check, prometheus, "scalar(slow_ms)", limit=30).outcome is PASS


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("absent_metric", "no series"),
        ("errors_total / (errors_total * 0)", "nan"),
        ("requests_total / 0", "inf"),
        ('{__name__=~".+_total"}', "2 series"),
        ("slow_ms[1m]", "matrix"),
        ("not a query (", "Prometheus answered 400"),
        ('"text"', "a figure is needed"),
    ],
)
def test_prometheus_without_a_figure_is_never_a_pass(
    check: Any, prometheus: Any, query: str, why: str
) -> None:
    for better in ("lower", "higher"):
        result = ask(check, prometheus, query, limit=1e9 if better == "lower" else -1e9, better=better)
        assert result.outcome is INCONCLUSIVE
        assert why in str(result.evidence)


def test_prometheus_gone_or_something_else(check: Any, serve: Any, free_port: Any) -> None:
    gone = ask(check, (f"http://127.0.0.1:{free_port()}", None), "up", limit=1)
    assert gone.outcome is INCONCLUSIVE
    assert "did not answer" in str(gone.evidence)
    body: Any
    for body in (
        {"status": "ok"},
        [],
        "x",
        {"status": "success", "data": {"resultType": "vector", "result": [{}]}},
    ):
        assert ask(check, (serve(body).url, None), "up", limit=1).outcome is INCONCLUSIVE
    refused = serve(lambda _n: (401, b"Unauthorized", {}))
    result = ask(check, (refused.url, None), "up", limit=1)
    assert (result.outcome, str(result.evidence)) == (INCONCLUSIVE, "Prometheus answered 401: Unauthorized")


def test_prometheus_a_window_that_begins_before_the_change_says_how_long_to_wait(
    check: Any, prometheus: Any
) -> None:
    result = ask(check, prometheus, ERRORS, limit=0.5, ago_s=10, window_s=60)
    assert (result.outcome, str(result.more)) == (INCONCLUSIVE, "50 more seconds are needed")


def test_prometheus_the_pre_release_window_is_normal(check: Any, prometheus: Any) -> None:
    _, exporter = prometheus
    deployed_at = datetime.now(UTC)
    same = ask(check, prometheus, "slow_ms", deployed_at=deployed_at)
    assert (same.outcome, same.threshold) == (PASS, 30.0)
    exporter.values["slow_ms"] = 31.0
    try:
        result = ask_until(31.0, check, prometheus, "slow_ms", deployed_at=deployed_at)
        assert (result.outcome, result.threshold) == (FAIL, 30.0)
        assert ask(check, prometheus, "slow_ms", deployed_at=deployed_at, tolerance=0.6).outcome is PASS
    finally:
        exporter.values["slow_ms"] = 20.0


def test_prometheus_without_limit_and_window_names_the_key(check: Any, prometheus: Any) -> None:
    for deployed_at in (None, datetime.now(UTC) - timedelta(days=2)):
        result = ask(check, prometheus, "slow_ms", deployed_at=deployed_at, name="latency")
        assert result.outcome is INCONCLUSIVE
        assert "declare `limit` of check latency" in str(result.evidence)


def test_prometheus_a_normal_of_zero_is_no_limit(check: Any, prometheus: Any) -> None:
    _, exporter = prometheus
    deployed_at = datetime.now(UTC)
    assert ask(check, prometheus, "odd", deployed_at=deployed_at).outcome is PASS
    exporter.values["odd"] = 3.0
    result = ask_until(3.0, check, prometheus, "odd", deployed_at=deployed_at)
    assert result.outcome is INCONCLUSIVE
    assert "declare `limit`" in str(result.evidence)


def test_prometheus_a_sample_from_before_the_window_is_too_old(check: Any, prometheus: Any) -> None:
    """By itself Prometheus answers a plain selector with a sample that is up to five minutes old."""
    by_itself = httpx2.get(f"{prometheus[0]}/api/v1/query", params={"query": "pushed"}).json()
    assert by_itself["data"]["result"][0]["value"][1] == "7"
    result = ask(check, prometheus, "pushed", limit=30)
    assert result.outcome is INCONCLUSIVE
    # Which of the two it is depends on whether the server knows `lookback_delta`.
    assert any(why in str(result.evidence) for why in ("s old", "no series"))


def test_prometheus_an_exporter_that_is_down_leaves_no_figure(check: Any, prometheus: Any) -> None:
    _, exporter = prometheus
    exporter.up = False
    try:
        ends_s = time.monotonic() + 10
        while ask(check, prometheus, "slow_ms", limit=30).outcome is PASS:
            assert time.monotonic() < ends_s
            time.sleep(0.1)
        assert ask(check, prometheus, "slow_ms", limit=30).outcome is INCONCLUSIVE
    finally:
        exporter.up = True


def test_importing_the_checks_imports_no_client() -> None:
    code = "import sys, backout.checks; assert 'httpx2' not in sys.modules and 'psycopg' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
