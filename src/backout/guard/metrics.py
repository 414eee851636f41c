"""Metrics of a watch, and what is known of each: plain data."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from backout.document import Document
from backout.guard.errors import Compared
from backout.guard.latency import EDGES_S, Timed, slower_than
from backout.guard.limits import Limited
from backout.guard.looks import NOBODY, Arm, Durations, Errors
from backout.guard.onset import Counted, remembered


class ErrorRate(Document):
    """Failed requests, beside a control arm or against a limit.

    Attributes:
        weight: Its part of the chance of a false alarm, beside the other metrics' weights.
        worse_by: With a control arm: more than 1 + this times the control's rate is harm.
        tolerated: With a control arm: the release is fine when its rate is surely less than this above the control's.
        limit: Without one: the highest rate that is allowed.
    """

    kind: Literal["errors"] = "errors"
    name: str = "errors"
    weight: float = Field(default=1.0, gt=0)
    worse_by: float = Field(default=0.2, ge=0)
    tolerated: float = Field(default=0.005, gt=0, lt=1)
    limit: float = Field(default=0.02, gt=0, lt=1)


class Latency(Document):
    """How long requests take, beside a control arm or against a limit.

    Attributes:
        weight: Its part of the chance of a false alarm, beside the other metrics' weights.
        quantile: As 0.95.
        worse_by: With a control arm: more than 1 + this times the control's quantile is harm.
        limit_s: Without one: the highest value of the quantile that is allowed, in seconds.
        edges_s: The buckets' upper edges, in seconds.
    """

    kind: Literal["durations"] = "durations"
    name: str = "p95"
    weight: float = Field(default=1.0, gt=0)
    quantile: float = Field(default=0.95, gt=0, lt=1)
    worse_by: float = Field(default=0.25, ge=0)
    limit_s: float = Field(default=1.0, gt=0)
    edges_s: tuple[float, ...] = EDGES_S


Metric = Annotated[ErrorRate | Latency, Field(discriminator="kind")]


class SlowAgainstLimit(Document):
    """Evidence of a quantile without a control arm: of requests that surely were too slow, and of those that may have been."""

    kind: Literal["slow"] = "slow"
    surely: Limited
    maybe: Limited


_Compared = Annotated[Compared | Timed, Field(discriminator="kind")]
_Alone = Annotated[Limited | SlowAgainstLimit, Field(discriminator="kind")]


class Known(Document):
    """What is known of one metric so far.

    Attributes:
        compared: Evidence from looks with a control arm.
        alone: Evidence from looks without one.
        alone_now: Whether the last look had none.
        series: Counts of who is not under watch (of everybody, without a control arm), before and after the release.
    """

    compared: _Compared | None = None
    alone: _Alone | None = None
    alone_now: bool = False
    series: tuple[Counted, ...] = ()

    @property
    def ended(self) -> datetime | None:
        """Until when there are data."""
        return self.series[-1].ended if self.series else None

    def before_release(self, one: Counted) -> Known:
        """Return it with a look that is older than the release: no evidence against that."""
        return self.model_copy(update={"series": remembered(self.series, one)})

    def since_release(
        self, metric: ErrorRate | Latency, counts: Errors | Durations, share: float | None, one: Counted
    ) -> Known:
        """Return it with a look since the release."""
        series = remembered(self.series, one)
        if counts.control is None:
            evidence = _alone(metric, self.alone, counts)
            return self.model_copy(update={"series": series, "alone_now": True, "alone": evidence})
        return self.model_copy(
            update={
                "series": series,
                "alone_now": False,
                "compared": _compared(metric, self.compared, counts, share),
            }
        )


def failures(metric: ErrorRate | Latency, counts: Errors | Durations) -> Arm:
    """Return what the time of an incident is found by: the control arm's requests, or everybody's where there is none."""
    if isinstance(counts, Errors):
        return counts.control or counts.canary
    assert isinstance(metric, Latency)
    return slower_than(counts.control or counts.canary, metric.edges_s, metric.limit_s)[0]


def _alone(
    metric: ErrorRate | Latency, before: Limited | SlowAgainstLimit | None, counts: Errors | Durations
) -> Limited | SlowAgainstLimit:
    if isinstance(metric, ErrorRate) and isinstance(counts, Errors):
        limited = before if isinstance(before, Limited) else Limited(limit=metric.limit)
        return limited.add(counts.canary)
    assert isinstance(metric, Latency) and isinstance(counts, Durations)
    surely, maybe = slower_than(counts.canary, metric.edges_s, metric.limit_s)
    start = Limited(limit=1 - metric.quantile)
    slow = before if isinstance(before, SlowAgainstLimit) else SlowAgainstLimit(surely=start, maybe=start)
    return SlowAgainstLimit(surely=slow.surely.add(surely), maybe=slow.maybe.add(maybe))


def _compared(
    metric: ErrorRate | Latency,
    before: Compared | Timed | None,
    counts: Errors | Durations,
    share: float | None,
) -> Compared | Timed:
    if isinstance(metric, ErrorRate) and isinstance(counts, Errors):
        compared = before if isinstance(before, Compared) else Compared(worse_by=metric.worse_by)
        return compared.add(counts.canary, counts.control or NOBODY)
    assert isinstance(metric, Latency) and isinstance(counts, Durations) and counts.control is not None
    timed = (
        before
        if isinstance(before, Timed)
        else Timed(quantile=metric.quantile, worse_by=metric.worse_by, edges_s=metric.edges_s)
    )
    return timed.add(counts.canary, counts.control, share)
