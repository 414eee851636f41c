"""The routers that ship keep the contract; each runs for real."""

import json
import signal
import socket
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backout.children import Children, end
from backout.clock import SystemClock
from backout.embedded.server import free_port
from backout.errors import NotPossible, StepFailed
from backout.observed import Answer
from backout.platforms.base import Site
from backout.redact import Redactor
from backout.routers.front import FrontOptions, FrontRouter
from backout.testing.routers import RouterCase, RouterContract, ask, until


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(0.5)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def front_router(admin: int, tmp_path: Path, **options: object) -> FrontRouter:
    site = Site("collector", "test", tmp_path, {}, SystemClock(), Redactor())
    return FrontRouter.create(FrontOptions(admin=f"http://127.0.0.1:{admin}", **options), site)


@pytest.mark.slow
class TestFront(RouterContract):
    @pytest.fixture
    def front(self, service, tmp_path):
        listen, admin = free_port(), free_port()
        children = Children(tmp_path / "run")
        ports = ["--listen", str(listen), "--admin", str(admin), "--upstream", f"127.0.0.1:{service}"]
        command = [sys.executable, "-m", "backout.demo.front", *ports, "--state", str(tmp_path / "mode")]
        children.start("front", command)
        router = front_router(admin, tmp_path)
        until(lambda: router.observe(1).held is not Answer.UNKNOWN, "the front port is up")
        yield router, listen, children
        children.close()

    @pytest.fixture
    def case(self, front):
        router, listen, children = front
        url = f"http://127.0.0.1:{listen}"

        def kill() -> None:
            end(children.pid("front"), None, signal.SIGKILL)

        return RouterCase(router=router, url=url + "/", slow_url=url + "/slow", kill=kill)

    def test_a_hold_that_does_not_drain_in_time_is_no_success(self, front, tmp_path):
        router, listen, _ = front
        admin = router._admin
        hasty = front_router(int(admin.rpartition(":")[2]), tmp_path, drain_timeout_s=0.05)
        inside = threading.Thread(target=ask, args=(f"http://127.0.0.1:{listen}/slow",))
        inside.start()
        until(lambda: json.loads(urllib.request.urlopen(f"{admin}/state").read())["in_flight"] == 1, "inside")
        with pytest.raises(StepFailed, match="still inside") as caught:
            hasty.hold("queue")
        assert "1 requests are inside" in str(caught.value.state)
        # It is in force, but not everything is out: neither yes nor no, until it is.
        assert router.observe(0.05).held is Answer.UNKNOWN
        assert router.observe(5).held is Answer.YES
        inside.join()

    def test_unknown_modes_and_unknown_priors_are_refused(self, front):
        router, _, _ = front
        with pytest.raises(NotPossible, match="cannot hold by drop"):
            router.hold("drop")
        with pytest.raises(NotPossible, match="not known"):
            router.release({"mode": "drop"})
        assert router.observe(2).held is Answer.NO


def test_another_server_at_the_admin_port_is_unknown(service, tmp_path):
    router = front_router(service, tmp_path)
    assert router.observe(1).held is Answer.UNKNOWN
    assert [line.ok for line in router.doctor()] == [False]


def test_a_port_that_never_answers_is_unknown_within_the_deadline(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        router = front_router(silent.getsockname()[1], tmp_path)
        started = time.monotonic()
        assert router.observe(0.3).held is Answer.UNKNOWN
        assert time.monotonic() - started < 2
