"""One round of requests for `probes`: at a steady rate, ended early when the answer is certain."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backout.trust import authorities

if TYPE_CHECKING:
    import httpx2

    from backout.checks.options import ProbesOptions
    from backout.clock import Clock

_FAILED_FROM_STATUS = 500


@dataclass(frozen=True, slots=True)
class Certain:
    """When the answer over all planned requests is fail, whatever those that are left would be.

    Attributes:
        failures: From so many failed requests on the error rate fails; None: never.
        beyond: From so many answers over the limit on the response time fails; None: never.
        limit_ms: That limit; None: there is none.
    """

    failures: int | None
    beyond: int | None
    limit_ms: float | None

    def error_rate(self, failures: int) -> bool:
        """Return whether the error rate fails for certain."""
        return self.failures is not None and failures >= self.failures

    def response_time(self, beyond: int) -> bool:
        """Return whether the response time fails for certain."""
        return self.beyond is not None and self.limit_ms is not None and beyond >= self.beyond


@dataclass(frozen=True, slots=True)
class Probing:
    """What the requests showed.

    Attributes:
        milliseconds: Of each request; `inf` for a failed one.
        seconds: How long the whole took.
        planned: How many were to be sent.
        ended_early: Whether the rest was left out because the answer was certain.
    """

    milliseconds: tuple[float, ...]
    seconds: float
    planned: int
    ended_early: bool

    @property
    def requests(self) -> int:
        """How many were sent."""
        return len(self.milliseconds)

    @property
    def failures(self) -> int:
        """How many had no answer, or one of the server's errors (500 to 599)."""
        return sum(1 for ms in self.milliseconds if math.isinf(ms))

    def beyond(self, limit_ms: float) -> int:
        """Return how many took longer or failed."""
        return sum(1 for ms in self.milliseconds if ms > limit_ms)


class Round:
    """One round of requests by a few threads, each with a connection that it keeps."""

    def __init__(
        self, options: ProbesOptions, clock: Clock, count: int, certain: Certain, deadline_s: float
    ) -> None:
        self._options, self._clock, self._count, self._certain = options, clock, count, certain
        self._started_s = clock.monotonic_s()
        self._ends_s = self._started_s + deadline_s
        self._next = 0
        self._lock = threading.Lock()
        self._milliseconds: list[float] = []
        self._failures = self._beyond = 0
        self._enough = False

    def finish(self) -> Probing:
        """Ask until all is asked, the deadline is there, or the answer is certain."""
        threads = [
            threading.Thread(target=self._ask_until_done, daemon=True, name=f"probe-{i}")
            for i in range(min(self._options.concurrency, self._count))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s, asked = self._clock.monotonic_s() - self._started_s, tuple(self._milliseconds)
        return Probing(asked, took_s, self._count, self._enough and len(asked) < self._count)

    def _ask_until_done(self) -> None:
        import httpx2

        with httpx2.Client(verify=authorities()) as client:
            while (due_s := self._claim()) is not None:
                wait_s = due_s - self._clock.monotonic_s()
                if wait_s > 0:
                    self._clock.wait(wait_s)
                left_s = self._ends_s - self._clock.monotonic_s()
                timeout_s = min(self._options.timeout_s, left_s)
                # A request that could not have its whole time says nothing: it is not sent.
                if self._enough or left_s <= 0 or due_s >= self._ends_s:
                    return
                answered_ms = self._ask(client, timeout_s)
                if answered_ms is None and timeout_s < self._options.timeout_s:
                    return
                self._count_in(math.inf if answered_ms is None else answered_ms)

    def _claim(self) -> float | None:
        """Take the next request: return when it is due, or None when no more are to be asked."""
        with self._lock:
            if self._enough or self._next >= self._count:
                return None
            self._next += 1
            return self._started_s + (self._next - 1) / self._options.per_second

    def _count_in(self, milliseconds: float) -> None:
        limit_ms = self._certain.limit_ms
        with self._lock:
            self._milliseconds.append(milliseconds)
            self._failures += math.isinf(milliseconds)
            self._beyond += limit_ms is not None and milliseconds > limit_ms
            self._enough = self._certain.error_rate(self._failures) or self._certain.response_time(
                self._beyond
            )

    def _ask(self, client: httpx2.Client, timeout_s: float) -> float | None:
        """Return how long the answer took, or None for a failure."""
        import httpx2

        began_s = self._clock.monotonic_s()
        try:
            response = client.get(self._options.url, timeout=timeout_s)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return None
        took_s = self._clock.monotonic_s() - began_s
        if response.status_code >= _FAILED_FROM_STATUS or took_s > self._options.timeout_s:
            return None
        return took_s * 1000
