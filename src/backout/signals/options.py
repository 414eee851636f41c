"""What a person declares of the guard's metrics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from backout.fields import Declared, HttpUrl

if TYPE_CHECKING:
    from backout.guard import ErrorRate, Latency

_NAME = "How verdicts name this metric."
_WORSE_BY = "With a control arm: harm is more than so much above the control's; 0.2 is 20 %."
_LIMIT = "Without a control arm: the highest share of failed requests that is allowed."
_QUANTILE = "0.95 is the p95."
_LIMIT_S = "Without a control arm: the slowest that the quantile may be."


class _Shared(Declared):
    name: str = Field(description=_NAME)
    weight: float = Field(
        default=1.0, gt=0, description="Its part of the chance of a false alarm, beside the others' weights."
    )


class _Errors(_Shared):
    worse_by: float = Field(default=0.2, ge=0, description=_WORSE_BY)
    tolerated: float = Field(
        default=0.005,
        gt=0,
        lt=1,
        description="With a control arm: fine is surely less than this above the control's rate.",
    )
    limit: float = Field(default=0.02, gt=0, lt=1, description=_LIMIT)

    @property
    def metric(self) -> ErrorRate:
        """As the guard counts it."""
        from backout.guard import ErrorRate

        return ErrorRate(
            name=self.name,
            weight=self.weight,
            worse_by=self.worse_by,
            tolerated=self.tolerated,
            limit=self.limit,
        )


class _Latency(_Shared):
    quantile: float = Field(default=0.95, gt=0, lt=1, description=_QUANTILE)
    worse_by: float = Field(default=0.25, ge=0, description=_WORSE_BY)
    limit_s: float = Field(default=1.0, gt=0, description=_LIMIT_S)

    @property
    def metric(self) -> Latency:
        """As the guard counts it."""
        from backout.guard import Latency

        return Latency(
            name=self.name,
            weight=self.weight,
            quantile=self.quantile,
            worse_by=self.worse_by,
            limit_s=self.limit_s,
        )


class RouterErrors(_Errors):
    """Failed requests as the router counts them."""

    kind: Literal["router"]
    name: str = Field(default="errors", min_length=1, description=_NAME)


class ProbeErrors(_Errors):
    """Failed requests of backout's own, sent past the router."""

    kind: Literal["probes"]
    name: str = Field(default="probes", min_length=1, description=_NAME)
    url: HttpUrl | None = Field(default=None, description="What is asked where there are no sides.")
    urls: dict[str, HttpUrl] = Field(
        default={}, description="What is asked on each side; default: its ready_url."
    )
    per_look: int = Field(default=5, ge=1, le=100, description="Requests to each side in each look.")
    timeout_s: float = Field(default=3, gt=0, le=5, description="A slower answer counts as failed.")


class _Asked(_Shared):
    url: HttpUrl = Field(description="Where Prometheus answers, without /api.")
    headers: dict[str, SecretStr] = Field(default={}, description="Request headers; secrets as ${NAME}.")
    window_s: int = Field(
        default=60,
        ge=10,
        le=3600,
        description="Seconds of each window, at least four times the interval at which Prometheus asks.",
    )
    delay_s: float = Field(
        default=15, ge=0, le=600, description="Seconds until Prometheus surely has what happened."
    )


def _windowed(query: str) -> str:
    if "$window" not in query:
        raise ValueError(
            "$window in the query, as in increase(…[$window]): else each window counts what others count, too"
        )
    return query


Query = Annotated[str, AfterValidator(_windowed)]


class PrometheusErrors(_Asked, _Errors):
    """Failed requests as Prometheus counts them."""

    kind: Literal["prometheus"]
    name: str = Field(default="errors", min_length=1, description=_NAME)
    requests: Query = Field(
        description='How many there were, e.g. sum(increase(requests_total{side="$side"}[$window])).'
    )
    errors: Query = Field(
        description="How many failed, in one figure; `or vector(0)` where there may be no series before the first."
    )

    @model_validator(mode="after")
    def _of_the_same_sides(self) -> Self:
        if ("$side" in self.requests) != ("$side" in self.errors):
            raise ValueError("$side in both of requests and errors, or in neither")
        return self


class PrometheusLatency(_Asked, _Latency):
    """How long requests take, by a histogram in Prometheus."""

    kind: Literal["prometheus-latency"]
    name: str = Field(default="p95", min_length=1, description=_NAME)
    buckets: Query = Field(
        description='e.g. sum by (le) (increase(request_seconds_bucket{side="$side"}[$window])).'
    )
    edges_s: tuple[float, ...] = Field(
        default=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        min_length=1,
        description="The histogram's buckets but for +Inf, in seconds; default: those of Prometheus' own clients.",
    )

    @model_validator(mode="after")
    def _edges_rise(self) -> Self:
        if any(a >= b for a, b in zip((0.0, *self.edges_s), self.edges_s, strict=False)):
            raise ValueError("upper edges that rise, from above 0")
        return self

    @property
    def metric(self) -> Latency:
        """As the guard counts it, with the histogram's buckets."""
        return super().metric.model_copy(update={"edges_s": self.edges_s})


class LogFields(Declared):
    """What the log calls what is needed: names of JSON fields, or of groups of `pattern`."""

    time: str = Field(
        default="time",
        min_length=1,
        description="When the request ended: ISO 8601 with a zone, seconds since 1970, or as `$time_local`.",
    )
    status: str = Field(default="status", min_length=1, description="Status of HTTP.")
    side: str = Field(
        default="side", min_length=1, description="Who served it; needed where there are sides."
    )
    id: str = Field(
        default="id",
        min_length=1,
        description="What a client sends again with each retry of a request, and with no other request.",
    )
    duration: str = Field(default="duration", min_length=1, description="How long it took.")


FailedStatus = Literal["4xx", "5xx"] | Annotated[int, Field(ge=100, le=599)]


class _Log(_Shared):
    path: str = Field(min_length=1, description="The log, on this machine.")
    pattern: str | None = Field(
        default=None,
        description="Regular expression with named groups, as `(?P<status>\\d+)`, where a line is no JSON object.",
    )
    fields: LogFields = Field(default_factory=LogFields, description="What the log calls what is needed.")
    sides: dict[str, tuple[Annotated[str, Field(min_length=1)], ...]] = Field(
        default={},
        description="What the log says for each side: {blue: [shop-blue], green: [shop-green]}; default: the side's name.",
    )

    @model_validator(mode="after")
    def _can_tell_lines_apart(self) -> Self:
        said = [word for words in self.sides.values() for word in words]
        if twice := sorted({word for word in said if said.count(word) > 1}):
            raise ValueError(f"{twice[0]} for one side only: requests of two could not be told apart")
        if self.pattern is None:
            return self
        try:
            groups = re.compile(self.pattern).groupindex
        except re.error as error:
            raise ValueError(f"pattern: a regular expression ({error})") from None
        lacking = [name for name in self._needed() if name not in groups]
        if lacking:
            raise ValueError(f"pattern: a group (?P<{lacking[0]}>…)")
        return self

    def _needed(self) -> tuple[str, ...]:
        return (self.fields.time, self.fields.status)


class AccessLogErrors(_Log, _Errors):
    """Failed requests as an access log has them, each counted once by its id."""

    kind: Literal["access-log"]
    name: str = Field(default="errors", min_length=1, description=_NAME)
    failed: tuple[FailedStatus, ...] = Field(
        default=("5xx",), min_length=1, description="Which statuses have failed: [5xx, 499]."
    )


class AccessLogLatency(_Log, _Latency):
    """How long requests take, as an access log has it, each counted once by its id."""

    kind: Literal["access-log-latency"]
    name: str = Field(default="p95", min_length=1, description=_NAME)
    unit: Literal["s", "ms"] = Field(default="s", description="Of the duration: nginx writes seconds.")

    def _needed(self) -> tuple[str, ...]:
        return (self.fields.time, self.fields.status, self.fields.duration)


SignalOptions = Annotated[
    RouterErrors | ProbeErrors | PrometheusErrors | PrometheusLatency | AccessLogErrors | AccessLogLatency,
    Field(discriminator="kind"),
]


def secrets_of(options: SignalOptions) -> tuple[str, ...]:
    """Return what must never be shown: the values of request headers."""
    if isinstance(options, PrometheusErrors | PrometheusLatency):
        return tuple(value.get_secret_value() for value in options.headers.values())
    return ()
