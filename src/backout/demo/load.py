"""The demo's clients: they send and read reports without pause, and write down what came of each request.

Run as ``python -m backout.demo.load --url URL --out FILE``, in a process of its own, so that the load does
not slow down what it measures. One JSON line for each request; the fields are those of `Request`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import select
import signal
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import quote, urlsplit

TENANTS = ("acme-eu", "globex-us", "initech-eu", "umbrella", "wayne-labs-us")
TIMEOUT_S = 30.0
_SHARE_OF_WRITES = 0.7


class Request(NamedTuple):
    """One request and what came of it.

    Attributes:
        worker: Which client sent it.
        started: `time.monotonic()` of this machine, comparable between its processes.
        seconds: How long until the whole answer was there.
        status: The answer's status; 0 when there was none.
        version: Which release answered; None when it was not the service.
        error: Why it counts as unanswered or malformed; None when it does not.
        report: Id of an acknowledged report.
    """

    worker: int
    started: float
    seconds: float
    method: str
    status: int
    version: str | None
    error: str | None
    report: str | None


class Worker(threading.Thread):
    """One client, sending at a steady pace over one connection, or (`fresh`) over a new one each time."""

    def __init__(
        self,
        number: int,
        url: str,
        pace_s: float,
        out: IO[str],
        stop: threading.Event,
        *,
        fresh: bool = False,
    ) -> None:
        super().__init__(daemon=True)
        self._fresh = fresh
        self._number, self._pace_s, self._out, self._stopped = number, pace_s, out, stop
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        self._random = random.Random(number)

    def run(self) -> None:
        """Send until stopped; the request in flight is finished first."""
        due = time.monotonic() + self._random.random() * self._pace_s
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            self._out.write(json.dumps(self.send()) + "\n")
            # No catching up after a pause: people who waited do not click twice as fast afterwards.
            due = max(due + self._pace_s, time.monotonic())
        self._connection.close()

    def send(self) -> Request:
        """Send one request and judge its answer; never raises, never sends twice."""
        tenant = self._random.choice(TENANTS)
        write = self._random.random() < _SHARE_OF_WRITES
        report = str(uuid.UUID(int=self._random.getrandbits(128), version=4)) if write else None
        started = time.monotonic()
        status, version, error = 0, None, None
        try:
            answer = self._exchange(tenant, report)
            body = answer.read()
            status, version = answer.status, answer.getheader("X-Collector-Version")
            error = _malformed(status, body, report)
        except Exception as problem:  # Whatever it is, it is this request's result.
            error = f"{type(problem).__name__}: {problem}"
            self._connection.close()
        acknowledged = report if status == 201 and error is None else None
        seconds, method = time.monotonic() - started, "POST" if write else "GET"
        return Request(self._number, started, seconds, method, status, version, error, acknowledged)

    def _exchange(self, tenant: str, report: str | None) -> http.client.HTTPResponse:
        self._drop_if_closed()
        if report:
            body = json.dumps({"id": report, "tenant": tenant, "body": "All is well here." * 4})
            self._connection.request("POST", "/reports", body, {"Content-Type": "application/json"})
        else:
            self._connection.request("GET", f"/reports?limit=10&tenant={quote(tenant)}")
        return self._connection.getresponse()

    def _drop_if_closed(self) -> None:
        """Use a new connection when the server closed this one while it was idle (RFC 9112, 9.3)."""
        if self._fresh:
            self._connection.close()
        if self._connection.sock is not None:
            poll = select.poll()
            poll.register(self._connection.sock.fileno(), select.POLLIN)
            if poll.poll(0):
                self._connection.close()


def _malformed(status: int, body: bytes, report: str | None) -> str | None:
    """Return what is wrong with an answer, or None; 5xx are judged by their status, not here."""
    if status >= 500:
        return None
    wanted = 201 if report else 200
    if status != wanted:
        return f"status {status} where {wanted} was expected"
    try:
        answer = json.loads(body)
        right = answer["id"] == report if report else isinstance(answer["reports"], list)
    except (ValueError, KeyError, TypeError):
        right = False
    return None if right else "the answer is not understood"


def main() -> int:
    """Send until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--per-second", type=float, default=250)
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--fresh", action="store_true", help="a new connection for each request")
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _signal, _frame: stop.set())
    seed = random.SystemRandom().getrandbits(32)
    with given.out.open("a", buffering=1) as out:
        workers = [
            Worker(number, given.url, given.workers / given.per_second, out, stop, fresh=given.fresh)
            for number in range(seed, seed + given.workers)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
