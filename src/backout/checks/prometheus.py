"""`prometheus`: one figure of a PromQL query, against a limit or against the pre-release window."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backout.checks.base import CheckResult, Outcome, Subject, note
from backout.checks.options import PrometheusOptions
from backout.message import Message, msg
from backout.redact import MASK, Redactor
from backout.trust import authorities

_SHOWN_CHARS = 200
_HTTP_TIMEOUT_S = 10.0


class _Unknown(Exception):
    """There is no figure; the message says why."""

    def __init__(self, why: Message) -> None:
        super().__init__(str(why))
        self.why = why


@dataclass(frozen=True, slots=True)
class PrometheusCheck:
    """Asks once. No figure (empty, NaN, several, unreachable, too old) is inconclusive, never a pass."""

    options: PrometheusOptions

    @property
    def name(self) -> str:
        """The declared name."""
        return self.options.name

    def run(self, subject: Subject, deadline_s: float) -> tuple[CheckResult, ...]:
        """Ask for the window that ends now, once it lies wholly after the change.

        Args:
            subject: What is looked at; the same query at `release_deployed_at` is what is normal.
            deadline_s: Seconds from now.
        """
        now = subject.clock.now()
        missing_s = self.options.window_s - (now - subject.changed_at).total_seconds()
        if missing_s > 0:
            evidence = msg(
                "The window of {window_s} s began before the change", window_s=self.options.window_s
            )
            more = msg("{seconds:.0f} more seconds are needed", seconds=math.ceil(missing_s))
            return (self._result(Outcome.INCONCLUSIVE, evidence, more=more),)
        ends_at_s = subject.clock.monotonic_s() + deadline_s
        try:
            measured = self._figure(now, subject, deadline_s)
            limit = self._limit(measured, subject, ends_at_s - subject.clock.monotonic_s())
        except _Unknown as unknown:
            return (self._result(Outcome.INCONCLUSIVE, unknown.why),)
        good = measured <= limit if self.options.better == "lower" else measured >= limit
        evidence = msg("{measured:g}; the limit is {limit:g} ({better} is better)",
                       measured=measured, limit=limit, better=self.options.better)  # fmt: skip
        return (self._result(Outcome.PASS if good else Outcome.FAIL, evidence, measured, limit),)

    def by_hand(self, redactor: Redactor) -> tuple[str, ...]:
        """Return the query as a line of curl; the values of headers are left out."""
        options = self.options
        limit = "what it was before" if options.limit is None else f"{options.limit:g}"
        lower = msg("Expected: one figure, at most {limit}.", limit=limit)
        higher = msg("Expected: one figure, at least {limit}.", limit=limit)
        lines = [note(lower if options.better == "lower" else higher)]
        lines.append(note(msg("Wait until {seconds} s after the change.", seconds=options.window_s)))
        words = ["curl", "-sS", "-G", "-m", f"{_HTTP_TIMEOUT_S:g}"]
        for name in options.headers:
            words += ["-H", f"{name}: {MASK}"]
        if options.headers:
            lines.append(note(msg("Put the secrets of the headers in for {mask}.", mask=MASK)))
        words.append(redactor.text(f"{options.url.rstrip('/')}/api/v1/query"))
        query = options.query.replace("$window", f"{options.window_s}s")
        words += ["--data-urlencode", redactor.text(f"query={query}")]
        return (*lines, shlex.join(words))

    def _limit(self, measured: float, subject: Subject, deadline_s: float) -> float:
        if self.options.limit is not None:
            return self.options.limit
        declare = msg("Nothing says what is normal: declare `limit` of check {name}", name=self.name)
        if subject.release_deployed_at is None:
            raise _Unknown(declare)
        try:
            normal = self._figure(subject.release_deployed_at, subject, deadline_s)
        except _Unknown as unknown:
            raise _Unknown(
                msg(
                    "No pre-release window: {why}; declare `limit` of check {name}",
                    why=str(unknown.why),
                    name=self.name,
                )
            ) from None
        lower = self.options.better == "lower"
        if normal == 0 and lower and measured > 0:
            # A share of nothing is nothing: any single error would be "too much".
            raise _Unknown(
                msg("The pre-release window is 0, now {measured:g}: declare `limit` of check {name}",
                    measured=measured, name=self.name)
            )  # fmt: skip
        slack = abs(normal) * self.options.tolerance
        return normal + slack if lower else normal - slack

    def _figure(self, at: datetime, subject: Subject, deadline_s: float) -> float:
        """Return the one figure at a time; raises `_Unknown`."""
        ends_at_s = subject.clock.monotonic_s() + deadline_s
        query = self.options.query.replace("$window", f"{self.options.window_s}s")
        kind, figure = self._ask(query, at, subject, deadline_s)
        if kind == "vector":
            # Hazard: a plain selector is answered with a sample up to 5 min old, from before the change.
            # For anything but a selector this is the time asked for, and tells nothing.
            left_s = ends_at_s - subject.clock.monotonic_s()
            _, sampled_at = self._ask(f"timestamp({query})", at, subject, left_s)
            age_s = at.timestamp() - sampled_at
            if age_s > self.options.window_s:
                raise _Unknown(msg("The newest sample is {age_s:.0f} s old", age_s=age_s))
        return figure

    def _ask(self, query: str, at: datetime, subject: Subject, deadline_s: float) -> tuple[str, float]:
        import httpx2

        if deadline_s <= 0:
            raise _Unknown(msg("No time was left to ask Prometheus"))
        # Servers that know `lookback_delta` also leave out old samples inside expressions; 2.42 ignores it.
        lookback = f"{self.options.window_s}s"
        params = {"query": query, "time": f"{at.timestamp():.3f}", "lookback_delta": lookback}
        headers = {name: value.get_secret_value() for name, value in self.options.headers.items()}
        try:
            response = httpx2.get(
                f"{self.options.url.rstrip('/')}/api/v1/query",
                params=params, headers=headers, timeout=min(_HTTP_TIMEOUT_S, deadline_s), verify=authorities(),
            )  # fmt: skip
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            told = subject.redactor.text(f"{type(error).__name__}: {error}")
            raise _Unknown(msg("Prometheus did not answer: {error}", error=told)) from None
        return _one_figure(response, subject)

    def _result(
        self,
        outcome: Outcome,
        evidence: Message,
        measured: float | None = None,
        limit: float | None = None,
        more: Message | None = None,
    ) -> CheckResult:
        return CheckResult(
            name=self.name,
            proves=self.options.proves,
            outcome=outcome,
            measured=measured,
            threshold=limit,
            window=f"{self.options.window_s} s",
            evidence=evidence,
            more=more,
        )


def _one_figure(response: Any, subject: Subject) -> tuple[str, float]:
    """Return the kind of answer (`vector` or `scalar`) and its figure; raises `_Unknown`."""
    try:
        answer = response.json()
        data = answer["data"] if answer.get("status") == "success" else None
    except (ValueError, KeyError, AttributeError, TypeError):
        answer, data = {}, None
    if not isinstance(data, dict):
        error = answer.get("error") if isinstance(answer, dict) else None
        told = subject.redactor.text(str(error or response.text))[:_SHOWN_CHARS]
        raise _Unknown(msg("Prometheus answered {status}: {error}", status=response.status_code, error=told))
    kind: object = data.get("resultType")
    result: Any = data.get("result")
    if kind == "vector" and isinstance(result, list) and len(result) != 1:
        why = msg("The query gives {series} series, one is needed", series=len(result))
        raise _Unknown(why if result else msg("The query gives no series (`or vector(0)` if none means 0)"))
    try:
        figure = float(result[0]["value"][1] if kind == "vector" else result[1])
    except (TypeError, KeyError, IndexError, ValueError):
        raise _Unknown(msg("The query gives a {kind}, a figure is needed", kind=str(kind))) from None
    if not math.isfinite(figure):
        raise _Unknown(msg("The query gives {figure}", figure=str(figure)))
    return str(kind), figure
