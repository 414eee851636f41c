"""`prometheus` and `prometheus-latency`: windows that follow each other, also those in which nobody watched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from backout.clock import Clock
from backout.document import Document, Json
from backout.guard import Arm, Durations, Errors, Latency, Look
from backout.guard.latency import apart
from backout.message import msg
from backout.prometheus import Answered, NoAnswer, NoFigure, Prometheus
from backout.redact import Redactor
from backout.signals.base import Reading, Span
from backout.signals.options import PrometheusErrors, PrometheusLatency

if TYPE_CHECKING:
    from backout.guard import ErrorRate

_SIDE = "$side"
_MOST_WINDOWS = 60
"""Of one reading: what is older comes with the next one."""
_NO_SIDE = "none"
_MOST = 1e12
"""No service has as many requests in an hour: such a figure is none of requests."""


class _Memory(Document):
    asked_until: datetime


@dataclass(frozen=True, slots=True)
class PrometheusSignal:
    """Asks for one window after the other. A window without a figure is left out: a gap."""

    options: PrometheusErrors | PrometheusLatency
    clock: Clock
    redactor: Redactor
    looks_back: ClassVar[bool] = True
    has_ids: ClassVar[bool] = False

    @property
    def metric(self) -> ErrorRate | Latency:
        """As it was declared."""
        return self.options.metric

    @property
    def lag_s(self) -> float:
        """A few windows."""
        return 3.0 * self.options.window_s + self.options.delay_s

    def read(self, span: Span, memory: Json) -> Reading:
        """Read every whole window since then; one that was not answered is asked again at the next reading, one without a figure is not."""
        headers = {name: value.get_secret_value() for name, value in self.options.headers.items()}
        server = Prometheus(self.options.url, headers, self.redactor)
        until_s = self.clock.monotonic_s() + span.deadline_s
        looks, why = [], None
        asked_until = _Memory.model_validate(memory).asked_until if memory is not None else span.since
        for began, ended in self._windows(replace(span, since=max(span.since, asked_until))):
            left_s = until_s - self.clock.monotonic_s()
            if left_s <= 0:
                break
            try:
                looks.append(self._look(server, span, began, ended, until_s))
                asked_until = ended
            except NoFigure as none:
                why = msg(
                    "{metric}, {began} to {ended} UTC: {why}",
                    metric=self.metric.name,
                    began=f"{began:%H:%M:%S}",
                    ended=f"{ended:%H:%M:%S}",
                    why=str(none.why),
                )
                if isinstance(none, NoAnswer):
                    break
                asked_until = ended
        after = _Memory(asked_until=asked_until).model_dump(mode="json")
        return Reading(looks=tuple(looks), memory=after, why=why)

    def _windows(self, span: Span) -> Iterator[tuple[datetime, datetime]]:
        """Yield windows of the one length, none of them across the release."""
        length = timedelta(seconds=self.options.window_s)
        newest = span.now - timedelta(seconds=self.options.delay_s)
        began = span.since
        if began < span.released_at:
            # So that one begins at the release.
            began = span.released_at - (span.released_at - began) // length * length
        for _ in range(_MOST_WINDOWS):
            if began >= span.released_at and span.not_before is not None:
                began = max(began, span.not_before)
            if began + length > newest:
                return
            yield began, began + length
            began += length

    def _look(self, server: Prometheus, span: Span, began: datetime, ended: datetime, until_s: float) -> Look:
        arms, share = span.arms, None
        by_side = _SIDE in "".join(self._queries())
        if by_side and arms is None:
            raise NoFigure(msg("the query names $side, and the release has no side of its own"))
        own: tuple[str, ...] = (arms.canary,) if arms else (_NO_SIDE,)
        if arms is not None and not arms.control and ended <= span.released_at:
            # The requests were on other sides before.
            own = (arms.canary, *arms.rest)
        canary = self._counts(server, ended, until_s, "|".join(own))
        control = None
        if by_side and arms is not None and arms.control:
            control = self._counts(server, ended, until_s, "|".join(arms.control))
            share = arms.share
        name, options = self.metric.name, self.options
        if isinstance(options, PrometheusErrors):
            assert isinstance(canary, Arm) and not isinstance(control, tuple)
            errors = {name: Errors(canary=canary, control=control)}
            return Look(began=began, ended=ended, share=share, errors=errors)
        assert isinstance(canary, tuple) and not isinstance(control, Arm)
        durations = {name: Durations(canary=canary, control=control)}
        return Look(began=began, ended=ended, share=share, durations=durations)

    def _queries(self) -> tuple[str, ...]:
        options = self.options
        return (
            (options.requests, options.errors)
            if isinstance(options, PrometheusErrors)
            else (options.buckets,)
        )

    def _counts(self, server: Prometheus, at: datetime, until_s: float, side: str) -> Arm | tuple[int, ...]:
        answers = [self._ask(server, query, at, until_s, side) for query in self._queries()]
        if isinstance(self.options, PrometheusLatency):
            return _bucketed(answers[0], self.options.edges_s)
        requests, errors = (_count(one.figure) for one in answers)
        # `increase` goes beyond what it saw, each counter by itself.
        return Arm(requests=requests, errors=min(errors, requests))

    def _ask(self, server: Prometheus, query: str, at: datetime, until_s: float, side: str) -> Answered:
        window_s = self.options.window_s
        words = query.replace(_SIDE, side).replace("$window", f"{window_s}s")
        return server.ask(words, at, lookback_s=window_s, deadline_s=until_s - self.clock.monotonic_s())


def _count(figure: float) -> int:
    """Return a figure as a number of requests; raises `NoFigure` where it is none."""
    if not -0.5 <= figure <= _MOST:
        raise NoFigure(msg("The query gives {figure}: no number of requests", figure=str(figure)))
    return round(figure)


def _bucketed(answer: Answered, edges_s: tuple[float, ...]) -> tuple[int, ...]:
    """Return the requests in each bucket and behind the last one.

    Raises:
        NoFigure: There is no histogram, or one with other buckets.
    """
    if not answer.series:
        raise NoFigure(msg("The query gives no series"))
    found: Mapping[float, float] = {_edge(labels): figure for labels, figure in answer.series}
    wanted = (*edges_s, float("inf"))
    if len(found) != len(answer.series) or set(found) != set(wanted):
        told = ", ".join(sorted({labels.get("le", "no le") for labels, _ in answer.series}))
        raise NoFigure(msg("The buckets are {found}: declare them as edges_s", found=told))
    # Each bucket is extrapolated by itself; they never fall.
    counts, most = [], 0
    for edge in wanted:
        most = max(most, _count(found[edge]))
        counts.append(most)
    return apart(counts)


def _edge(labels: Mapping[str, str]) -> float:
    try:
        return float(labels.get("le", "nan"))
    except ValueError:
        return float("nan")
