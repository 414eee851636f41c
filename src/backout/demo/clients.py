"""Starts the demo's clients and adds up what they wrote down."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backout.children import Children
from backout.demo.load import TIMEOUT_S, Request

_NAME = "clients"


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of the requests of a span of time.

    Attributes:
        seconds: How long the span was.
        requests_sent: Requests that were under way at some moment of the span.
        requests_failed: Of these: no answer within 30 s, a malformed one, or 5xx except for those below.
        errors_of_bad_release: Of these: 5xx answers that the bad release gave itself.
        longest_request_seconds: The longest of them, waiting included; 0 when there was none.
        p50_seconds: Half of them were faster.
        p95_seconds: 95 % of them were faster.
        answered_by: Answers without error, by the version that gave them.
        failures: Why, each kind once with its count.
    """

    seconds: float
    requests_sent: int
    requests_failed: int
    errors_of_bad_release: int
    longest_request_seconds: float
    p50_seconds: float
    p95_seconds: float
    answered_by: dict[str, int]
    failures: dict[str, int]


class Clients:
    """The clients of one demo, as a context manager.

    Args:
        children: Starts and ends their process.
        url: What they send to.
        record: File that they write to; new.
        bad_version: Whose 5xx answers are counted apart.
        fresh: Whether each request has a connection of its own.
    """

    def __init__(
        self,
        children: Children,
        url: str,
        record: Path,
        *,
        bad_version: str | None = None,
        per_second: float = 250,
        workers: int = 32,
        fresh: bool = False,
    ) -> None:
        self._children, self._url, self._record = children, url, record
        self._bad_version, self._per_second, self._workers = bad_version, per_second, workers
        self._name = f"{_NAME}-fresh" if fresh else _NAME
        self._how = ["--fresh"] if fresh else []
        self._marks: dict[str, float] = {}
        self._requests: list[Request] = []
        self._read_to = 0

    def __enter__(self) -> Clients:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Let them begin."""
        command = [sys.executable, "-m", "backout.demo.load", "--url", self._url, "--out", str(self._record)]
        figures = ["--per-second", str(self._per_second), "--workers", str(self._workers)]
        self._children.start(self._name, command + figures + self._how)

    def stop(self) -> None:
        """End them once the requests under way are answered. Idempotent."""
        self._children.stop(self._name, timeout_s=TIMEOUT_S + 5)

    def mark(self, name: str) -> float:
        """Note this moment under a name, and return it."""
        self._marks[name] = time.monotonic()
        return self._marks[name]

    def summary(self, since: str, until: str | None = None, *, settle: bool = True) -> Summary:
        """Add up the requests that were under way between two marks (default: until now).

        Args:
            since: A mark.
            until: A later mark.
            settle: Wait until every request of the span has its result: until each client has written
                down one that began later, or has ended.

        Raises:
            KeyError: There is no such mark.
            TimeoutError: A client has written nothing down for longer than any request may take.
        """
        begin = self._marks[since]
        end = self._marks[until] if until else time.monotonic()
        if settle:
            self._settle(end)
        self._read()
        span = [r for r in self._requests if r.started < end and r.started + r.seconds >= begin]
        return self._add_up(span, end - begin)

    def acknowledged(self, since: str | None = None) -> set[str]:
        """Return the ids of all reports that were acknowledged so far, or sent after a mark and acknowledged."""
        self._read()
        from_s = self._marks[since] if since else 0.0
        return {r.report for r in self._requests if r.report and r.started >= from_s}

    def missing(self, *database_urls: str, since: str | None = None) -> set[str]:
        """Return the acknowledged reports (sent after a mark) that are in none of these databases."""
        import psycopg

        wanted = self.acknowledged(since)
        for url in database_urls:
            left = sorted(wanted)
            with psycopg.connect(url, connect_timeout=5) as connection:
                for batch in (left[n : n + 5000] for n in range(0, len(left), 5000)):
                    rows = connection.execute(
                        "SELECT id::text FROM reports WHERE id = ANY(%s::uuid[])", [batch]
                    ).fetchall()
                    wanted -= {str(row[0]) for row in rows}
        return wanted

    def rows_lost(self, database_url: str) -> int:
        """Count acknowledged reports that are not in the table."""
        return len(self.missing(database_url))

    def _settle(self, end: float) -> None:
        deadline = end + TIMEOUT_S + 5
        while self._children.alive(self._name):
            self._read()
            later = {request.worker for request in self._requests if request.started >= end}
            if len(later) >= self._workers:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{self._workers - len(later)} clients wrote nothing down for {TIMEOUT_S + 5} s"
                )
            time.sleep(0.02)

    def _read(self) -> None:
        self._requests.extend(self._new_lines())

    def _new_lines(self) -> Iterator[Request]:
        if not self._record.exists():
            return
        with self._record.open("rb") as record:
            record.seek(self._read_to)
            for line in record:
                if not line.endswith(b"\n"):
                    return  # Being written; next time.
                self._read_to += len(line)
                yield Request(*json.loads(line))

    def _add_up(self, span: list[Request], seconds: float) -> Summary:
        failures: Counter[str] = Counter()
        answered_by: Counter[str] = Counter()
        by_bad_release = 0
        for request in span:
            if request.error:
                failures[request.error] += 1
            elif request.status < 500:
                answered_by[request.version or "unknown"] += 1
            elif self._bad_version and request.version == self._bad_version:
                by_bad_release += 1
            else:
                failures[f"status {request.status} from {request.version or 'the front'}"] += 1
        times = sorted(request.seconds for request in span) or [0.0]
        return Summary(
            seconds=seconds,
            requests_sent=len(span),
            requests_failed=failures.total(),
            errors_of_bad_release=by_bad_release,
            longest_request_seconds=times[-1],
            p50_seconds=times[len(times) // 2],
            p95_seconds=times[int(len(times) * 0.95)],
            answered_by=dict(answered_by),
            failures=dict(failures),
        )
