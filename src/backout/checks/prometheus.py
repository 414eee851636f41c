"""`prometheus`: one figure of a PromQL query, against a limit or against the pre-release window."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from datetime import datetime

from backout.checks.base import CheckResult, Outcome, Subject, note
from backout.checks.options import PrometheusOptions
from backout.message import Message, msg
from backout.prometheus import HTTP_TIMEOUT_S, NoFigure, Prometheus
from backout.redact import MASK, Redactor


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
        except NoFigure as unknown:
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
        words = ["curl", "-sS", "-G", "-m", f"{HTTP_TIMEOUT_S:g}"]
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
            raise NoFigure(declare)
        try:
            normal = self._figure(subject.release_deployed_at, subject, deadline_s)
        except NoFigure as unknown:
            raise NoFigure(
                msg(
                    "No pre-release window: {why}; declare `limit` of check {name}",
                    why=str(unknown.why),
                    name=self.name,
                )
            ) from None
        lower = self.options.better == "lower"
        if normal == 0 and lower and measured > 0:
            # A share of nothing is nothing: any single error would be "too much".
            raise NoFigure(
                msg("The pre-release window is 0, now {measured:g}: declare `limit` of check {name}",
                    measured=measured, name=self.name)
            )  # fmt: skip
        slack = abs(normal) * self.options.tolerance
        return normal + slack if lower else normal - slack

    def _figure(self, at: datetime, subject: Subject, deadline_s: float) -> float:
        """Return the one figure at a time; raises `NoFigure`."""
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
                raise NoFigure(msg("The newest sample is {age_s:.0f} s old", age_s=age_s))
        return figure

    def _ask(self, query: str, at: datetime, subject: Subject, deadline_s: float) -> tuple[str, float]:
        headers = {name: value.get_secret_value() for name, value in self.options.headers.items()}
        server = Prometheus(self.options.url, headers, subject.redactor)
        found = server.ask(query, at, lookback_s=self.options.window_s, deadline_s=deadline_s)
        return found.kind, found.figure

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
