"""What stands in for a service and a platform, and how a check is looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from backout.checks.base import CheckResult, Outcome, Subject
from backout.clock import SystemClock
from backout.errors import TargetUnreachable, UnknownVersion
from backout.message import msg
from backout.observed import Workload
from backout.redact import Redactor
from backout.release import Artefact

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


FAST = {"per_second": 3000, "concurrency": 4}
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


def outcomes(results: tuple[CheckResult, ...]) -> dict[str, Outcome]:
    return {r.proves: r.outcome for r in results}
