"""`probes`: many requests, and what they prove of the error rate and the response time."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from backout.checks.base import CheckResult, Outcome, Subject, note
from backout.checks.options import ProbesOptions
from backout.checks.probing import Certain, Probing, Round
from backout.checks.statistics import (
    NONE_EARLIER,
    Bounds,
    Counts,
    Says,
    decide,
    decide_sum,
    fewest_beyond,
    fewest_failures,
    more_for_percentile,
    more_requests,
    percentile_bounds,
    rate_bounds,
    requests_for,
)
from backout.message import Message, msg
from backout.release import Baseline

if TYPE_CHECKING:
    from backout.redact import Redactor

_COUNT = 300
# Below this, differences are those of the machine that asks, not of the service that answers.
_NOISE_MS = 10.0


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

        It ends early once no answer to the requests that are left could keep one of the two from failing.
        The error rate adds what was seen earlier of this release; the response time is that of the new
        requests only: of the earlier ones nobody kept each answer's time.

        Args:
            subject: What is looked at; `normal` stands in for limits that are not declared.
            deadline_s: Seconds from now; what was asked by then is what counts.
        """
        seen = subject.earlier
        earlier = Counts(seen.requests, seen.errors) if seen is not None else NONE_EARLIER
        error_limit, p95_limit_ms = self._error_limit(subject.normal), self._p95_limit_ms(subject.normal)
        count = self._count(error_limit)
        certain = Certain(
            failures=None if error_limit is None else fewest_failures(count, error_limit, earlier),
            beyond=fewest_beyond(count),
            limit_ms=p95_limit_ms,
        )
        probing = Round(self.options, subject.clock, count, certain, deadline_s).finish()
        results = (
            self._error_rate(probing, certain, error_limit, earlier),
            self._response_time(probing, certain, p95_limit_ms),
        )
        return results, self._baseline(probing, subject)

    def by_hand(self, redactor: Redactor) -> tuple[str, ...]:
        """Return a loop of curl that counts what failed, and how long 95 % took."""
        options, count = self.options, self._count(self.options.max_error_rate)
        expected = msg(
            "Expected: not more than {rate} fail (no answer, or 5xx); 95 % are answered within {p95}.",
            rate="before" if options.max_error_rate is None else f"{options.max_error_rate:.2%}",
            p95="the time of before" if options.max_p95_ms is None else f"{options.max_p95_ms:g} ms",
        )
        asked = (
            f"curl -s -o /dev/null -m {options.timeout_s:g} -w '%{{http_code}} %{{time_total}}\\n'"
            f" {shlex.quote(redactor.text(options.url))}"
        )
        counted = (
            "awk '/^(000|5)/ {failed++} {ms[NR]=$2*1000}"
            ' END {print failed+0, "of", NR, "failed; 95 % within", ms[int(NR*.95+.99)], "ms"}\''
        )
        return (
            note(expected),
            f"for i in $(seq {count}); do {asked}; done | sort -k2 -n | {counted}",
        )

    def _error_limit(self, normal: Baseline | None) -> float | None:
        if self.options.max_error_rate is not None:
            return self.options.max_error_rate
        if normal is None or normal.requests <= 0:
            return None
        # Normal is known only as far as the window's own number of requests can tell.
        worst_normal = rate_bounds(normal.errors, normal.requests).upper
        return min(0.99, worst_normal * (1 + self.options.tolerance))

    def _p95_limit_ms(self, normal: Baseline | None) -> float | None:
        if self.options.max_p95_ms is not None or normal is None:
            return self.options.max_p95_ms
        return max(normal.p95_ms * (1 + self.options.tolerance), normal.p95_ms + _NOISE_MS)

    def _count(self, error_limit: float | None) -> int:
        if self.options.count is not None:
            return self.options.count
        if self.options.max_error_rate is not None:
            return max(requests_for(self.options.max_error_rate), 59)
        return _COUNT if error_limit is None else max(_COUNT, requests_for(error_limit))

    def _error_rate(
        self, probing: Probing, certain: Certain, limit: float | None, earlier: Counts
    ) -> CheckResult:
        if limit is not None and decide(rate_bounds(probing.failures, probing.requests), limit) == "fail":
            earlier = NONE_EARLIER  # The new requests fail by themselves: they are what has to be shown.
        failed, requests = probing.failures + earlier.failures, probing.requests + earlier.requests
        bounds, window = rate_bounds(failed, requests), _window(probing)
        counted = msg("{failed} of {requests} requests failed", failed=failed, requests=requests)
        if earlier.requests:
            counted = msg("{counted} ({earlier} of the requests were asked earlier)",
                          counted=str(counted), earlier=earlier.requests)  # fmt: skip
            window = f"{window}, {requests} with those asked earlier"
        if limit is None:
            evidence = msg("{counted}; nothing says what is normal", counted=str(counted))
            needed: Message | None = msg("Declare `max_error_rate` of check {name}", name=self.name)
            says: Says = "inconclusive"
        else:
            says = decide_sum(probing.failures, probing.requests, limit, earlier)
            evidence = msg(
                "{counted}: {lower:.2%} to {upper:.2%}, limit {limit:.2%}",
                counted=str(counted), lower=bounds.lower, upper=bounds.upper, limit=limit,
            )  # fmt: skip
            needed = _more(says, more_requests(failed, requests, limit))
        told = _Told(says, bounds, limit, window, evidence, needed)
        return self._result("error_rate", told, probing, certain=certain.error_rate(probing.failures))

    def _response_time(self, probing: Probing, certain: Certain, limit: float | None) -> CheckResult:
        bounds = percentile_bounds(probing.milliseconds)
        answered = _answered(bounds)
        if limit is None:
            evidence = msg("{answered}; nothing says what is normal", answered=str(answered))
            needed: Message | None = msg("Declare `max_p95_ms` of check {name}", name=self.name)
            told = _Told("inconclusive", bounds, None, _window(probing), evidence, needed)
            return self._result("response_time", told, probing, certain=False)
        says = decide(bounds, limit)
        evidence = msg("{answered}, {limit:.1f} ms is the limit", answered=str(answered), limit=limit)
        needed = _more(says, more_for_percentile(probing.milliseconds, limit), in_one_round=True)
        told = _Told(says, bounds, limit, _window(probing), evidence, needed)
        return self._result(
            "response_time", told, probing, certain=certain.response_time(probing.beyond(limit))
        )

    def _result(
        self,
        proves: Literal["error_rate", "response_time"],
        told: _Told,
        probing: Probing,
        *,
        certain: bool,
    ) -> CheckResult:
        told = _ended_early(told, probing, certain=certain) if probing.ended_early else told
        return CheckResult(
            name=self.name,
            proves=proves,
            outcome=Outcome(told.says),
            measured=told.bounds.estimate if math.isfinite(told.bounds.estimate) else None,
            threshold=told.limit,
            unit="share" if proves == "error_rate" else "ms",
            window=told.window,
            evidence=told.evidence,
            more=told.more,
        )

    def _baseline(self, probing: Probing, subject: Subject) -> Baseline | None:
        """Return what is known now: the new response time, and all requests of this release."""
        seen = subject.earlier
        if not probing.requests:
            return seen
        p95_ms = percentile_bounds(probing.milliseconds).estimate
        return Baseline(
            requests=probing.requests + (seen.requests if seen else 0),
            errors=probing.failures + (seen.errors if seen else 0),
            p95_ms=p95_ms if math.isfinite(p95_ms) else self.options.timeout_s * 1000,
            measured_at=subject.clock.now(),
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """What the requests say of one figure."""

    says: Says
    bounds: Bounds
    limit: float | None
    window: str
    evidence: Message
    more: Message | None


def _ended_early(told: _Told, probing: Probing, *, certain: bool) -> _Told:
    """Say that the rest was left out; a figure that did not bring that about cannot be told."""
    found, sent, planned = str(told.evidence), probing.requests, probing.planned
    if certain:
        evidence = msg("{found}; stopped after {sent} of {planned}: the rest could not change it",
                       found=found, sent=sent, planned=planned)  # fmt: skip
        return replace(told, evidence=evidence)
    # Hazard: when to stop was decided by what was seen; a verdict on the part seen would be peeking.
    evidence = msg("{found}; stopped after {sent} of {planned}: the other figure failed",
                   found=found, sent=sent, planned=planned)  # fmt: skip
    return replace(told, says="inconclusive", evidence=evidence, more=None)


def _window(probing: Probing) -> str:
    stopped = f"stopped after {probing.requests} of {probing.planned}: " if probing.ended_early else ""
    return f"{stopped}{probing.requests} requests in {probing.seconds:.1f} s"


def _more(says: Says, requests: int | None, *, in_one_round: bool = False) -> Message | None:
    if says != "inconclusive":
        return None
    if requests is None:
        return msg("At the rate seen so far no number of requests would prove it")
    if in_one_round:
        return msg("About {requests} more requests in one round would prove it", requests=requests)
    return msg("About {requests} more requests would prove it", requests=requests)


def _answered(bounds: Bounds) -> Message:
    """Say how long 95 % took; what is not answered has no time."""
    if not math.isfinite(bounds.estimate):
        return msg("Fewer than 95 % were answered")
    if not math.isfinite(bounds.upper):
        return msg(
            "95 % are answered within {p95_ms:.1f} ms (perhaps not all of them)", p95_ms=bounds.estimate
        )
    return msg(
        "95 % are answered within {p95_ms:.1f} ms (at most {upper_ms:.1f} ms)",
        p95_ms=bounds.estimate, upper_ms=bounds.upper,
    )  # fmt: skip
