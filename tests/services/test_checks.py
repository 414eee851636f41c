"""Each check against real servers: what passes, what fails, and what must stay inconclusive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from pydantic import TypeAdapter

from backout.checks import CheckOptions, make_check
from backout.checks.base import CheckResult, Outcome, Subject
from backout.checks.probes import ProbesCheck
from backout.checks.run import run_checks
from backout.clock import SystemClock
from backout.errors import TargetUnreachable, UnknownVersion
from backout.facts import Workload
from backout.message import msg
from backout.redact import Redactor
from backout.release import Artefact, Baseline

pytestmark = pytest.mark.slow
PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE
HEALTHY = {"status": "ok", "service": "collector", "database": "connected"}
V1 = Artefact(ref="releases/v1", digest="sha256:1")


class Service(ThreadingHTTPServer):
    """A service whose answers the test decides: `answer(n)` gives status, body, headers of the nth request."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[int], tuple[int, bytes, dict[str, str]]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.seen, self.connections, self.lock = answer, 0, 0, threading.Lock()
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Service

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.seen += 1
            number = self.server.seen
        status, body, headers = self.server.answer(number)
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
        self.wfile.write(head.encode() + body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    started: list[Service] = []

    def start(answer: Any = None) -> Service:
        if not callable(answer):
            fixed = (200, json.dumps(HEALTHY if answer is None else answer).encode(), {"X-Version": "v1"})
            service = Service(lambda _n: fixed)
        else:
            service = Service(answer)
        threading.Thread(target=service.serve_forever, args=(0.02,), daemon=True).start()
        started.append(service)
        return service

    yield start
    for service in started:
        service.stopping.set()
        service.shutdown()
        service.server_close()


class Standing:
    """A platform whose answer is given; it stands for what `observe` and `identify` tell a check."""

    def __init__(self, workload: Workload | None, digests: dict[str, str | None] | None = None) -> None:
        self._workload, self._digests = workload, digests or {}

    def observe(self, deadline_s: float) -> Workload:
        if self._workload is None:
            raise TargetUnreachable(msg("platform gone"), state=msg("unknown"), next_command="backout doctor")
        return self._workload

    def identify(self, ref: str) -> Artefact:
        if ref not in self._digests:
            raise UnknownVersion(
                msg("no {ref}", ref=ref), state=msg("unchanged"), next_command="backout releases"
            )
        return Artefact(ref=ref, digest=self._digests[ref])


GOOD = Workload(wanted=V1, running=(V1,), up=2, expected=2)


def subject(**changes: Any) -> Subject:
    given: dict[str, Any] = {
        "platform": Standing(GOOD),
        "database": None,
        "clock": SystemClock(),
        "redactor": Redactor(),
        "artefact": V1,
        "version": "v1",
        "normal": None,
        "changed_at": datetime.now(UTC) - timedelta(hours=1),
    }
    return Subject(**{**given, **changes})


@pytest.fixture
def check(make_site: Any, tmp_path: Path) -> Callable[..., Any]:
    def make(kind: str, **options: Any) -> Any:
        return make_check(
            TypeAdapter(CheckOptions).validate_python({"kind": kind, **options}), make_site(tmp_path)
        )

    return make


def outcomes(results: tuple[CheckResult, ...]) -> dict[str, Outcome]:
    return {r.proves: r.outcome for r in results}


# --- http ---------------------------------------------------------------------------------------


def test_http_proves_health_database_and_version(check: Any, serve: Any) -> None:
    declared = {"expect_json": {"status": "ok", "database": "connected"}, "version_header": "x-version"}
    results = check("http", url=serve().url + "/health", **declared).run(subject(), 5)
    assert outcomes(results) == {"health": PASS, "database": PASS, "version": PASS}


def test_http_with_nothing_but_a_url_proves_health_only(check: Any, serve: Any) -> None:
    assert outcomes(check("http", url=serve().url).run(subject(), 5)) == {"health": PASS}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": "bad", "database": "connected"}, {"health": FAIL, "database": PASS}),
        ({"status": "ok", "database": "down"}, {"health": FAIL, "database": FAIL}),
        ({"status": "ok"}, {"health": FAIL, "database": INCONCLUSIVE}),
        ([], {"health": FAIL, "database": INCONCLUSIVE}),
    ],
)
def test_http_answers_that_are_not_the_expected_ones(
    check: Any, serve: Any, answer: Any, expected: Any
) -> None:
    made = check("http", url=serve(answer).url, expect_json={"status": "ok", "database": "connected"})
    assert outcomes(made.run(subject(), 5)) == expected


def test_http_other_status(check: Any, serve: Any) -> None:
    service = serve(lambda _n: (503, b"no", {}))
    (result,) = check("http", url=service.url).run(subject(), 5)
    assert result.outcome is FAIL
    assert "503" in str(result.evidence)
    assert outcomes(check("http", url=service.url, expect_status=503).run(subject(), 5)) == {"health": PASS}


def test_http_nobody_there_and_no_answer_in_time(check: Any, serve: Any, free_port: Any) -> None:
    declared = {"expect_json": {"database": "connected"}}
    absent = check("http", url=f"http://127.0.0.1:{free_port()}", **declared).run(subject(), 5)
    assert outcomes(absent) == {"health": FAIL, "database": INCONCLUSIVE}
    service = serve()
    service.answer = lambda _n: (service.stopping.wait(10), (200, b"", {}))[1]
    started_s = time.monotonic()
    (late,) = check("http", url=service.url, timeout_s=30).run(subject(), 0.3)
    assert time.monotonic() - started_s < 2
    assert late.outcome is FAIL
    assert "no answer in 0.3 s" in str(late.evidence)


def test_http_an_answer_that_trickles_is_cut_at_the_deadline(check: Any, free_port: Any) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while not stop.wait(0.05):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=trickle)
        thread.start()
        started_s = time.monotonic()
        (result,) = check("http", url=f"http://127.0.0.1:{server.getsockname()[1]}").run(subject(), 0.5)
        stop.set()
        thread.join()
    assert result.outcome is FAIL
    assert time.monotonic() - started_s < 2


def test_http_version_in_the_answer(check: Any, serve: Any) -> None:
    service = serve({"build": {"version": "1.2.0"}})
    made = check("http", url=service.url, version_json="build.version")
    assert outcomes(made.run(subject(version="v1.2.0"), 5))["version"] is PASS
    assert outcomes(made.run(subject(version="v1.3.0"), 5))["version"] is FAIL
    assert "version" not in outcomes(made.run(subject(version=None), 5))
    elsewhere = check("http", url=service.url, version_json="build.tag")
    assert "version" not in outcomes(elsewhere.run(subject(), 5)), "identity by artefact stands for it"


def test_http_headers_are_sent_and_secrets_are_not_shown(check: Any, serve: Any) -> None:
    redactor = Redactor()
    redactor.add("token-12345")
    service = serve(lambda _n: (200, b'{"leak": "token-12345"}', {}))
    made = check(
        "http", url=service.url, headers={"Authorization": "token-12345"}, expect_json={"status": "ok"}
    )
    (result,) = made.run(subject(redactor=redactor), 5)
    assert "token-12345" not in result.model_dump_json()
    assert "***" in str(result.evidence)


# --- probes -------------------------------------------------------------------------------------

FAST = {"per_second": 3000, "concurrency": 4}
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
    made = check("probes", url=service.url, max_error_rate=0.01, max_p95_ms=2000, **FAST)
    rate, p95 = made.run(subject(), 30)
    assert rate.outcome is FAIL
    assert rate.measured == pytest.approx(0.2, abs=0.05)
    # 7 of 300 fail a limit of 1 % whatever the rest does: the 35th request, and what was under way then.
    assert 35 <= service.seen <= 35 + 4
    assert f"stopped after {service.seen} of 300: the rest could not change it" in str(rate.evidence)
    assert str(rate.window).startswith(f"stopped after {service.seen} of 300: {service.seen} requests in ")
    assert p95.outcome is INCONCLUSIVE, "a part that was chosen by what was seen proves nothing"
    assert f"stopped after {service.seen} of 300: the other figure failed" in str(p95.evidence)


def test_probes_what_is_not_answered_is_not_answered_in_time(check: Any, serve: Any) -> None:
    service = serve(lambda n: (500 if n % 5 == 0 else 200, b"", {}))
    made = check("probes", url=service.url, max_error_rate=0.5, max_p95_ms=2000, count=300, **FAST)
    rate, p95 = made.run(subject(), 30)
    assert p95.outcome is FAIL
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


# --- by hand ------------------------------------------------------------------------------------


def typed(commands: tuple[str, ...], **environ: str) -> str:
    """Return what a shell prints that is given the commands of a runbook."""
    done = subprocess.run(
        ["sh", "-c", "\n".join(commands)], capture_output=True, text=True, timeout=30,
        env={**os.environ, **environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_by_hand_http(check: Any, serve: Any) -> None:
    made = check("http", url=serve().url + "/a b'c", expect_json={"status": "ok"}, version_header="x-version")
    commands = made.by_hand(Redactor())
    assert commands[:3] == (
        "# Expected: status 200.",
        '# Expected: in the answer is {"status": "ok"}.',
        "# Expected: the header x-version names the release.",
    )
    plain = check("http", url=serve().url).by_hand(Redactor())
    assert '"status": "ok"' in typed(plain)
    assert "X-Version: v1" in typed(plain)


def test_by_hand_probes_count_what_failed(check: Any, serve: Any, free_port: Any) -> None:
    service = serve(lambda n: (500 if n % 5 == 0 else 404 if n % 2 else 200, b"", {}))
    made = check("probes", url=service.url, count=20, max_error_rate=0.01, max_p95_ms=250)
    commands = made.by_hand(Redactor())
    assert "not more than 1.00% fail" in commands[0]
    assert typed(commands).startswith("4 of 20 failed; 95 % within ")
    nobody = check("probes", url=f"http://127.0.0.1:{free_port()}", count=5).by_hand(Redactor())
    assert typed(nobody).startswith("5 of 5 failed")


def test_by_hand_command(check: Any, tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    for run in ("ls | grep here # why", ["ls", "here"]):
        assert typed(check("command", run=run).by_hand(Redactor())) == "here\n0\n"
    assert typed(check("command", run="exit 3").by_hand(Redactor())) == "3\n"


def test_by_hand_sql(check: Any, database: Any) -> None:
    made = check(
        "sql", query="SELECT 'it''s' || count(*) FROM pg_class WHERE relname = 'x y'", expect="it's0"
    )
    assert made.by_hand(Redactor())[0] == "# Expected: it's0"
    assert typed(made.by_hand(Redactor()), DATABASE_URL=database.url) == "it's0\n"
    writing = check("sql", query="CREATE TABLE t ()", expect=None).by_hand(Redactor())
    assert writing[0] == "# Expected: (nothing)"
    with pytest.raises(AssertionError, match="read-only"):
        typed(writing, DATABASE_URL=database.url)


def test_by_hand_prometheus(check: Any, prometheus: Any) -> None:
    made = check("prometheus", url=prometheus[0], query="scalar(slow_ms)", limit=30, proves="response_time")
    commands = made.by_hand(Redactor())
    assert commands[0] == "# Expected: one figure, at most 30."
    assert '"20"' in typed(commands)


def test_by_hand_shows_no_secret_and_no_line_of_its_own(check: Any) -> None:
    secret, redactor = 'it\'s\na "token"', Redactor()
    redactor.add(secret)
    for options in (
        {"kind": "http", "url": f"http://x/{secret}", "headers": {"A": secret}, "expect_json": {"a": secret}},
        {"kind": "probes", "url": f"http://x/{secret}"},
        {"kind": "command", "run": ["echo", secret]},
        {"kind": "command", "run": f"echo {secret}"},
        {"kind": "sql", "query": f"SELECT '{secret}'", "expect": secret},
        {"kind": "prometheus", "url": f"http://x/{secret}", "query": secret, "proves": "other",
         "headers": {"A": secret}},
    ):  # fmt: skip
        text = "\n".join(check(**options).by_hand(redactor))
        assert "token" not in text, text
        assert "***" in text
    (line, _) = check("sql", query="SELECT 1", expect="1\nrm -rf /").by_hand(Redactor())
    assert "\n" not in line


# --- command ------------------------------------------------------------------------------------


def test_command_passes_and_fails_by_exit_status(check: Any) -> None:
    assert outcomes(check("command", run=["true"]).run(subject(), 5)) == {"smoke": PASS}
    (failed,) = check("command", run="echo one; echo two >&2; exit 3").run(subject(), 5)
    assert (failed.outcome, str(failed.evidence)) == (FAIL, "Exit status 3: one | two")
    (absent,) = check("command", run=["/nowhere/at/all"]).run(subject(), 5)
    assert absent.outcome is FAIL
    assert "Could not be started" in str(absent.evidence)


def test_command_runs_in_the_folder_with_the_environment(check: Any, tmp_path: Path) -> None:
    assert outcomes(
        check("command", run=f'test "$PWD" = "{tmp_path}" && test -n "$PATH"').run(subject(), 5)
    ) == {"smoke": PASS}


def test_command_output_is_redacted_before_it_is_cut(check: Any) -> None:
    redactor = Redactor()
    redactor.add("hunter2-secret")
    line = "for i in $(seq 9000); do echo hunter2-secret; done; exit 1"
    (result,) = check("command", run=line).run(subject(redactor=redactor), 10)
    assert result.outcome is FAIL
    assert str(result.evidence) == "Exit status 1: " + " | ".join(["***"] * 5)


def test_command_that_hangs_is_ended_with_all_it_started(check: Any, tmp_path: Path) -> None:
    line = f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/child; echo waiting; wait; wait; sleep 60"
    started_s = time.monotonic()
    (result,) = check("command", run=line, timeout_s=30).run(subject(), 0.5)
    assert time.monotonic() - started_s < 5
    assert result.outcome is FAIL
    assert "Did not end in 0.5 s and was ended: waiting" in str(result.evidence)
    child = int((tmp_path / "child").read_text())
    ends_s = time.monotonic() + 3
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < ends_s
        time.sleep(0.02)


# --- sql ----------------------------------------------------------------------------------------


def test_sql(check: Any, database: Any, tmp_path: Path, free_port: Any) -> None:
    database.run("CREATE TABLE reports (x int)", "INSERT INTO reports VALUES (1), (2)")
    here = subject(database=database.adapter(tmp_path))
    count = "SELECT count(*) FROM reports"
    assert outcomes(check("sql", query=count, expect=2).run(here, 5)) == {"database": PASS}
    (other,) = check("sql", query=count, expect=3).run(here, 5)
    assert (other.outcome, str(other.evidence)) == (FAIL, "The query gave 2, expected 3")
    (wrong,) = check("sql", query="SELECT * FROM absent", expect=1).run(here, 5)
    assert wrong.outcome is FAIL
    assert "absent" in str(wrong.evidence)
    (writing,) = check("sql", query="DELETE FROM reports RETURNING 2", expect=2).run(here, 5)
    assert writing.outcome is FAIL
    assert outcomes(check("sql", query=count, expect=2).run(here, 5)) == {"database": PASS}
    (slow,) = check("sql", query="SELECT pg_sleep(20)", expect=2).run(here, 0.2)
    assert slow.outcome is INCONCLUSIVE
    (none,) = check("sql", query=count, expect=2).run(subject(), 5)
    assert none.outcome is INCONCLUSIVE
    assert "No `database`" in str(none.evidence)


# --- workload -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workload", "digests", "outcome"),
    [
        (GOOD, {}, PASS),
        (GOOD.model_copy(update={"up": 1}), {}, FAIL),
        (GOOD.model_copy(update={"expected": 0, "up": 0}), {}, FAIL),
        (GOOD.model_copy(update={"running": ()}), {}, FAIL),
        (GOOD.model_copy(update={"wanted": None}), {}, FAIL),
        (GOOD.model_copy(update={"wanted": Artefact(ref="releases/v2")}), {}, FAIL),
        (GOOD.model_copy(update={"running": (V1, Artefact(ref="releases/v2"))}), {}, FAIL),
        (GOOD.model_copy(update={"running": (Artefact(ref=V1.ref, digest="sha256:2"),)}), {}, FAIL),
        (GOOD.model_copy(update={"running": (Artefact(ref=V1.ref),)}), {V1.ref: "sha256:1"}, PASS),
        (GOOD.model_copy(update={"running": (Artefact(ref=V1.ref),)}), {V1.ref: "sha256:9"}, FAIL),
        (GOOD.model_copy(update={"running": (Artefact(ref=V1.ref),)}), {V1.ref: None}, INCONCLUSIVE),
        (GOOD.model_copy(update={"running": (Artefact(ref=V1.ref),)}), {}, INCONCLUSIVE),
        (None, {}, INCONCLUSIVE),
    ],
)
def test_workload(workload: Workload | None, digests: dict[str, str | None], outcome: Outcome) -> None:
    found = run_checks([], subject(platform=Standing(workload, digests)), 5)
    assert outcomes(found.results)["workload"] is outcome


def test_workload_without_digest_is_told_by_name() -> None:
    bare = Artefact(ref=V1.ref)
    found = run_checks([], subject(artefact=bare), 5)
    assert outcomes(found.results)["workload"] is PASS


# --- all together -------------------------------------------------------------------------------


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
    found = run_checks([sleeper, check("http", url=serve().url)], subject(), 0.5)
    sleeper.stop.set()
    assert time.monotonic() - started_s < 5
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


# --- prometheus ---------------------------------------------------------------------------------


class Exporter:
    """Counters that the test moves, in Prometheus's text format."""

    def __init__(self) -> None:
        self.values = {"requests_total": 0.0, "errors_total": 0.0, "slow_ms": 20.0, "odd": 0.0}
        self.pushed_at_ms = int((time.time() - 30) * 1000)
        self.up = True

    def answer(self, _n: int) -> tuple[int, bytes, dict[str, str]]:
        self.values["requests_total"] += 100
        text = "".join(f"{k} {v}\n" for k, v in self.values.items())
        # A sample with a time of its own is never marked stale.
        text += f"pushed 7 {self.pushed_at_ms}\n"
        return (200 if self.up else 500, text.encode(), {"Content-Type": "text/plain"})


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, free_port: Any) -> Iterator[tuple[str, Exporter]]:
    exporter = Exporter()
    service = Service(exporter.answer)
    threading.Thread(target=service.serve_forever, args=(0.02,), daemon=True).start()
    home, port = tmp_path_factory.mktemp("prometheus"), free_port()
    target = f"127.0.0.1:{service.server_address[1]}"
    (home / "config.yml").write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        f"scrape_configs: [{{job_name: t, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            ["/usr/bin/prometheus", f"--config.file={home}/config.yml", f"--storage.tsdb.path={home}/data",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for_samples(url, 12, home / "log")
        yield url, exporter
    finally:
        process.kill()
        process.wait(10)
        service.shutdown()
        service.server_close()


def wait_for_samples(url: str, count: int, log: Path) -> None:
    ends_s = time.monotonic() + 30
    while time.monotonic() < ends_s:
        try:
            answer = httpx2.get(
                f"{url}/api/v1/query", params={"query": "count_over_time(requests_total[1h])"}
            ).json()
            if answer["data"]["result"] and int(answer["data"]["result"][0]["value"][1]) >= count:
                return
        except (httpx2.HTTPError, ValueError, KeyError):
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())


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
