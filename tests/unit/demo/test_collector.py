"""The service without its database: what it says then, how it takes nonsense, and how it stops."""

import http.client
import json
import signal
import subprocess
import sys
import time

import pytest

from backout.children import basic_env
from backout.demo.releases import GOOD, write_release
from backout.embedded.server import free_port


@pytest.fixture
def service(tmp_path):
    write_release(GOOD, tmp_path / GOOD)
    port = free_port()
    env = {**basic_env(), "PORT": str(port), "DATABASE_URL": f"postgresql://a:b@127.0.0.1:{free_port()}/c"}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "collector"], cwd=tmp_path / GOOD, env=env, stderr=log
        )
    process.port = port
    deadline = time.monotonic() + 10
    while True:
        try:
            ask(port, "GET", "/nothing")
            break
        except OSError:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.02)
    yield process
    process.kill()
    process.wait()


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("X-Collector-Version"), json.loads(answer.read())
    finally:
        connection.close()


def test_without_its_database_it_says_so_and_acknowledges_nothing(service):
    status, version, body = ask(service.port, "GET", "/health")
    assert (status, version) == (503, GOOD)
    assert body == {"status": "error", "service": "collector", "database": "unreachable"}
    report = {"id": "6f8f57d2-0d19-4d4c-9d6a-0b7c1e1f2a3b", "tenant": "acme-eu", "body": "x"}
    assert ask(service.port, "POST", "/reports", json.dumps(report))[0] == 503


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"id": "1", "tenant": "a", "body": "b"}',
        '{"id": 1, "tenant": "a", "body": "b"}',
        '{"id": "6f8f57d2-0d19-4d4c-9d6a-0b7c1e1f2a3b", "tenant": "", "body": "b"}',
        '{"id": "6f8f57d2-0d19-4d4c-9d6a-0b7c1e1f2a3b", "tenant": "a\\u0000", "body": "b"}',
        '{"id": "6f8f57d2-0d19-4d4c-9d6a-0b7c1e1f2a3b", "tenant": "a", "body": "\\ud800"}',
        '{"id": "6f8f57d2-0d19-4d4c-9d6a-0b7c1e1f2a3b", "tenant": 7, "body": "b"}',
    ],
)
def test_nonsense_is_the_callers_mistake(service, body):
    assert ask(service.port, "POST", "/reports", body)[0] == 400


@pytest.mark.parametrize(
    "path", ["/reports", "/reports?tenant=", "/reports?tenant=a&limit=0", "/reports?tenant=a&limit=x"]
)
def test_reading_needs_a_tenant_and_a_sane_limit(service, path):
    assert ask(service.port, "GET", path)[0] == 400


def test_a_body_without_a_length_or_too_long_is_refused(service):
    assert ask(service.port, "POST", "/reports", b"{}", {"Content-Length": "99999999"})[0] == 400
    assert ask(service.port, "POST", "/reports", iter([b"{}"]), {"Transfer-Encoding": "chunked"})[0] == 400


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_when_only_idle_connections_are_open(service, number):
    idle = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    idle.request("GET", "/nothing")
    idle.getresponse().read()
    started = time.monotonic()
    service.send_signal(number)
    assert service.wait(10) == 0
    assert time.monotonic() - started < 1
    idle.close()
