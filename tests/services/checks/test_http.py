"""`http`: one answer, and what it proves."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from backout.redact import Redactor

from .support import FAIL, INCONCLUSIVE, PASS, outcomes, subject

pytestmark = pytest.mark.slow


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
