"""All checks of a verification together."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from backout.checks.base import CheckResult, Subject
from backout.checks.probes import ProbesCheck
from backout.checks.run import run_checks
from backout.redact import Redactor

from .support import FAIL, FAST, INCONCLUSIVE, PASS, outcomes, subject

pytestmark = pytest.mark.slow


class Sleeper:
    name = "sleeper"

    def __init__(self) -> None:
        self.stop = threading.Event()

    def run(self, subject: Subject, deadline_s: float) -> tuple[CheckResult, ...]:
        self.stop.wait(30)
        return ()


class Broken:
    name = "broken"

    def run(self, subject: Subject, deadline_s: float) -> tuple[CheckResult, ...]:
        raise ZeroDivisionError("by hunter2-secret")


def declared(check: Any, url: str) -> list[Any]:
    return [
        check("http", url=url, expect_json={"status": "ok", "database": "connected"}),
        check("probes", url=url, max_error_rate=0.02, max_p95_ms=2000, **FAST),
        check("command", run=["true"]),
    ]


def test_all_is_well(check: Any, serve: Any, database: Any, tmp_path: Path) -> None:
    found = run_checks(declared(check, serve().url), subject(database=database.adapter(tmp_path)), 30)
    assert found.outcome is PASS
    assert outcomes(found.results) == dict.fromkeys(
        ("workload", "health", "database", "smoke", "error_rate", "response_time"), PASS
    )
    assert found.baseline is not None
    assert found.baseline.requests == 150
    assert found.started_at <= found.finished_at
    assert found.model_validate_json(found.model_dump_json()) == found


def test_nothing_declared_is_inconclusive_and_says_what_to_declare() -> None:
    found = run_checks([], subject(), 5)
    assert found.outcome is INCONCLUSIVE
    assert {r.proves for r in found.results if r.outcome is INCONCLUSIVE} == {
        "health",
        "error_rate",
        "response_time",
    }
    assert "`checks: [{kind: http, url: …}]`" in str([str(r.more) for r in found.results])


def test_one_failure_decides(check: Any, serve: Any) -> None:
    made = [*declared(check, serve().url), check("command", name="smoke", run=["false"])]
    assert run_checks(made, subject(), 30).outcome is FAIL


def test_a_check_that_breaks_is_inconclusive_and_redacted(check: Any, serve: Any) -> None:
    redactor = Redactor()
    redactor.add("hunter2-secret")
    found = run_checks([*declared(check, serve().url), Broken()], subject(redactor=redactor), 30)
    assert found.outcome is INCONCLUSIVE
    (result,) = (r for r in found.results if r.name == "broken")
    assert str(result.evidence) == "The check itself failed: ZeroDivisionError: by ***"


def test_a_check_that_hangs_does_not_hold_up_the_others(check: Any, serve: Any) -> None:
    sleeper = Sleeper()
    started_s = time.monotonic()
    found = run_checks([sleeper, check("http", url=serve().url)], subject(), 3)
    sleeper.stop.set()
    assert time.monotonic() - started_s < 3 + 4.5
    assert outcomes(found.results)["health"] is PASS
    (late,) = (r for r in found.results if r.name == "sleeper")
    assert late.outcome is INCONCLUSIVE
    assert "Did not end within" in str(late.evidence)


def test_probes_come_last_and_alone(check: Any, serve: Any) -> None:
    order: list[str] = []

    class Noting:
        name = "noting"

        def run(self, subject: Subject, deadline_s: float) -> tuple[CheckResult, ...]:
            order.append("single")
            return ()

    def answer(_n: int) -> tuple[int, bytes, dict[str, str]]:
        order.append("probe")
        return 200, b"", {}

    service = serve(answer)
    probes = check("probes", url=service.url, count=5)
    assert isinstance(probes, ProbesCheck)
    run_checks([probes, Noting()], subject(), 30)
    assert order == ["single", *["probe"] * 5]
