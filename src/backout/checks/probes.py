"""`probes`: many requests, and what they prove of the error rate and the response time."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from backout.checks.base import CheckResult, Outcome, Subject
from backout.checks.options import ProbesOptions
from backout.checks.statistics import (
    Bounds,
    Says,
    decide,
    more_for_percentile,
    more_requests,
    percentile_bounds,
    rate_bounds,
    requests_for,
)
from backout.message import Message, msg
from backout.release import Baseline

if TYPE_CHECKING:
    import httpx2

_COUNT = 300
_FAILED_FROM_STATUS = 500
# Below this, differences are those of the machine that asks, not of the service that answers.
_NOISE_MS = 10.0


@dataclass(frozen=True, slots=True)
class Probing:
    """What the requests showed.

    Attributes:
        milliseconds: Of each request; `inf` for a failed one.
        seconds: How long the whole took.
    """

    milliseconds: tuple[float, ...]
    seconds: float

    @property
    def requests(self) -> int:
        """How many were sent."""
        return len(self.milliseconds)

    @property
    def failures(self) -> int:
        """How many had no answer, or one of the server's errors (500 to 599)."""
        return sum(1 for ms in self.milliseconds if math.isinf(ms))


@dataclass(frozen=True, slots=True)
class ProbesCheck:
    """Asks at a steady rate over kept connections. A failure is no answer, a time-out, or a 5xx."""

    options: ProbesOptions

    @property
    def name(self) -> str:
        """The declared name."""
        return self.options.name

    def run(self, subject: Subject, deadline_s: float) -> tuple[CheckResult, ...]:
        """Ask, and tell what it proves; see `measure`."""
        return self.measure(subject, deadline_s)[0]

    def measure(self, subject: Subject, deadline_s: float) -> tuple[tuple[CheckResult, ...], Baseline | None]:
        """Ask, and tell what it proves of error rate and response time, and what is normal from now on.

        Args:
            subject: What is looked at; `normal` stands in for limits that are not declared.
            deadline_s: Seconds from now; what was asked by then is what counts.
        """
        error_limit = self._error_limit(subject.normal)
        count = self._count(error_limit)
        probing = _Run(self.options, subject, count, deadline_s).finish()
        results = (self._error_rate(probing, error_limit), self._response_time(probing, subject.normal))
        return results, _baseline(probing, subject)

    def _error_limit(self, normal: Baseline | None) -> float | None:
        if self.options.max_error_rate is not None:
            return self.options.max_error_rate
        if normal is None or normal.requests <= 0:
            return None
        # Normal is known only as far as the window's own number of requests can tell.
        worst_normal = rate_bounds(normal.errors, normal.requests).upper
        return min(0.99, worst_normal * (1 + self.options.tolerance))

    def _count(self, error_limit: float | None) -> int:
        if self.options.count is not None:
            return self.options.count
        if self.options.max_error_rate is not None:
            return max(requests_for(self.options.max_error_rate), 59)
        return _COUNT if error_limit is None else max(_COUNT, requests_for(error_limit))

    def _error_rate(self, probing: Probing, limit: float | None) -> CheckResult:
        bounds = rate_bounds(probing.failures, probing.requests)
        counted = {"failed": probing.failures, "requests": probing.requests}
        if limit is None:
            evidence = msg("{failed} of {requests} requests failed; nothing says what is normal", **counted)
            more = msg("Declare `max_error_rate` of check {name}", name=self.name)
            return self._result("error_rate", Outcome.INCONCLUSIVE, bounds, None, probing, evidence, more)
        says = decide(bounds, limit)
        evidence = msg(
            "{failed} of {requests} requests failed: {lower:.2%} to {upper:.2%}, limit {limit:.2%}",
            **counted, lower=bounds.lower, upper=bounds.upper, limit=limit,
        )  # fmt: skip
        needed = _more(says, more_requests(probing.failures, probing.requests, limit))
        return self._result("error_rate", Outcome(says), bounds, limit, probing, evidence, needed)

    def _response_time(self, probing: Probing, normal: Baseline | None) -> CheckResult:
        bounds, limit = percentile_bounds(probing.milliseconds), self.options.max_p95_ms
        if limit is None and normal is not None:
            limit = max(normal.p95_ms * (1 + self.options.tolerance), normal.p95_ms + _NOISE_MS)
        shown = {"p95_ms": _finite(bounds.estimate), "upper_ms": _finite(bounds.upper)}
        if limit is None:
            evidence = msg("95 % are answered within {p95_ms} ms; nothing says what is normal", **shown)
            more = msg("Declare `max_p95_ms` of check {name}", name=self.name)
            return self._result("response_time", Outcome.INCONCLUSIVE, bounds, None, probing, evidence, more)
        says = decide(bounds, limit)
        evidence = msg(
            "95 % are answered within {p95_ms} ms (at most {upper_ms} ms), {limit:.1f} ms is the limit",
            **shown, limit=limit,
        )  # fmt: skip
        needed = _more(says, more_for_percentile(probing.milliseconds, limit))
        return self._result("response_time", Outcome(says), bounds, limit, probing, evidence, needed)

    def _result(
        self,
        proves: Literal["error_rate", "response_time"],
        outcome: Outcome,
        bounds: Bounds,
        limit: float | None,
        probing: Probing,
        evidence: Message,
        more: Message | None,
    ) -> CheckResult:
        return CheckResult(
            name=self.name,
            proves=proves,
            outcome=outcome,
            measured=bounds.estimate if math.isfinite(bounds.estimate) else None,
            threshold=limit,
            unit="share" if proves == "error_rate" else "ms",
            window=f"{probing.requests} requests in {probing.seconds:.1f} s",
            evidence=evidence,
            more=more,
        )


class _Run:
    """One round of requests by a few threads, each with a connection that it keeps."""

    def __init__(self, options: ProbesOptions, subject: Subject, count: int, deadline_s: float) -> None:
        self._options, self._clock = options, subject.clock
        self._count = count
        self._started_s = subject.clock.monotonic_s()
        self._ends_s = self._started_s + deadline_s
        self._next = 0
        self._lock = threading.Lock()
        self._milliseconds: list[float] = []

    def finish(self) -> Probing:
        threads = [
            threading.Thread(target=self._ask_until_done, daemon=True, name=f"probe-{i}")
            for i in range(min(self._options.concurrency, self._count))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Probing(tuple(self._milliseconds), self._clock.monotonic_s() - self._started_s)

    def _ask_until_done(self) -> None:
        import httpx2

        with httpx2.Client() as client:
            while (due_s := self._claim()) is not None:
                wait_s = due_s - self._clock.monotonic_s()
                if wait_s > 0:
                    self._clock.wait(wait_s)
                left_s = self._ends_s - self._clock.monotonic_s()
                timeout_s = min(self._options.timeout_s, left_s)
                # A request that could not have its whole time says nothing: it is not sent.
                if left_s <= 0 or due_s >= self._ends_s:
                    return
                answered_ms = self._ask(client, timeout_s)
                if answered_ms is None and timeout_s < self._options.timeout_s:
                    return
                with self._lock:
                    self._milliseconds.append(math.inf if answered_ms is None else answered_ms)

    def _claim(self) -> float | None:
        """Take the next request: return when it is due, or None when all are taken."""
        with self._lock:
            if self._next >= self._count:
                return None
            self._next += 1
            return self._started_s + (self._next - 1) / self._options.per_second

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


def _more(says: Says, requests: int | None) -> Message | None:
    if says != "inconclusive":
        return None
    if requests is None:
        return msg("At the rate seen so far no number of requests would prove it")
    return msg("About {requests} more requests would prove it", requests=requests)


def _finite(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if math.isfinite(milliseconds) else "(not answered)"


def _baseline(probing: Probing, subject: Subject) -> Baseline | None:
    p95_ms = percentile_bounds(probing.milliseconds).estimate
    if not math.isfinite(p95_ms):
        return None
    return Baseline(
        requests=probing.requests,
        errors=probing.failures,
        p95_ms=p95_ms,
        measured_at=subject.clock.now(),
    )
