"""What a reader of counters hands over: how many requests and errors each arm had between two moments."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from backout.document import Document


class Arm(Document):
    """Requests of one arm that ended in some time, and how many of them failed (or were too slow)."""

    requests: int = Field(ge=0)
    errors: int = Field(ge=0)

    @model_validator(mode="after")
    def _no_more_errors_than_requests(self) -> Self:
        if self.errors > self.requests:
            raise ValueError(f"{self.errors} errors of {self.requests} requests")
        return self

    def __add__(self, other: Arm) -> Arm:
        return Arm(requests=self.requests + other.requests, errors=self.errors + other.errors)

    @property
    def rate(self) -> float:
        """Errors per request; 0 where there was no request."""
        return self.errors / self.requests if self.requests else 0.0


NOBODY = Arm(requests=0, errors=0)


class Errors(Document):
    """Both arms' counts of one metric.

    Attributes:
        canary: Of the release under watch; before it came: of nobody, or of everybody where there is no control arm.
        control: Of who goes on serving as before; null where the release serves everybody, or takes over step by step. A control
            arm whose counts are not known is no such case: leave the metric out of the look.
    """

    canary: Arm
    control: Arm | None = None

    @property
    def requests(self) -> int:
        """Requests of both arms."""
        return (self.canary + (self.control or NOBODY)).requests


class Durations(Document):
    """Both arms' requests by how long they took, one count for each bucket of the metric and one for slower ones.

    Attributes:
        canary, control: As for `Errors`; counts are apart, not cumulative (`latency.apart` takes Prometheus' apart).
    """

    canary: tuple[int, ...]
    control: tuple[int, ...] | None = None

    @property
    def requests(self) -> int:
        """Requests of both arms."""
        return sum(self.canary) + sum(self.control or ())

    @model_validator(mode="after")
    def _counts_are_counts(self) -> Self:
        if any(count < 0 for count in (*self.canary, *(self.control or ()))):
            raise ValueError(
                "a bucket has less than no request: counters that began anew, or a cumulative histogram?"
            )
        return self


class Look(Document):
    """All metrics between two moments, as increases of counters. What is not known is left out: never zero.

    Attributes:
        began, ended: The time the counts are of, in UTC.
        share: The canary's share of requests as the router was told; null: not known, or no canary.
        errors, durations: By name of the metric.
    """

    began: datetime
    ended: datetime
    share: float | None = Field(default=None, gt=0, le=1)
    errors: dict[str, Errors] = {}
    durations: dict[str, Durations] = {}

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        if self.began.tzinfo is None or self.ended.tzinfo is None:
            raise ValueError("a time without its zone")
        if self.ended <= self.began:
            raise ValueError("a look that ends before it begins")
        return self
