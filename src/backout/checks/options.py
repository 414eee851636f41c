"""What may be declared of each kind of check; apart from what they do, so that reading a configuration is cheap."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from backout.document import Json
from backout.fields import Declared, HttpUrl, Seconds


class HttpOptions(Declared):
    """Options of a check of kind `http`."""

    kind: Literal["http"]
    name: str = Field(min_length=1, default="http", description="How results name this check.")
    url: HttpUrl = Field(description="What to ask.")
    method: str = Field(default="GET", description="GET or HEAD, unless the service needs another.")
    headers: dict[str, SecretStr] = Field(default={}, description="Request headers; secrets as ${NAME}.")
    expect_status: int = Field(default=200, ge=100, le=599, description="The status that means healthy.")
    expect_json: Json = Field(default=None, description="What the JSON answer must hold; more may be in it.")
    exact: bool = Field(default=False, description="Whether nothing more may be in the JSON answer.")
    version_header: str | None = Field(default=None, description="Response header that carries the version.")
    version_json: str | None = Field(default=None, description="Where the version is in the answer: `a.b`.")
    timeout_s: Seconds = Field(default=5, gt=0, description="Seconds to wait for the answer.")
    proves: Literal["health", "smoke", "other"] = Field(default="health", description="What a pass proves.")


class ProbesOptions(Declared):
    """Options of a check of kind `probes`."""

    kind: Literal["probes"]
    name: str = Field(min_length=1, default="probes", description="How results name this check.")
    url: HttpUrl = Field(description="What to GET, again and again; it must change nothing.")
    count: int | None = Field(
        default=None,
        gt=0,
        le=1_000_000,
        description="How many requests; left out: as many as the limit needs, else 300.",
    )
    per_second: float = Field(default=100, gt=0, le=10_000, description="Requests started per second.")
    concurrency: int = Field(default=4, ge=1, le=64, description="Requests under way at once at most.")
    max_error_rate: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Share of requests that may fail; left out: the pre-release window.",
    )
    max_p95_ms: float | None = Field(
        default=None,
        gt=0,
        le=3_600_000,
        description="95 % are answered within it; left out: the pre-release window.",
    )
    tolerance: float = Field(
        default=0.5, ge=0, le=100, description="How far over the pre-release window is normal."
    )
    timeout_s: Seconds = Field(default=5, gt=0, description="Seconds after which a request counts as failed.")


class CommandOptions(Declared):
    """Options of a check of kind `command`."""

    kind: Literal["command"]
    name: str = Field(min_length=1, default="command", description="How results name this check.")
    run: tuple[str, ...] | str = Field(description="Program and arguments, or one line for `sh`.")
    timeout_s: Seconds = Field(
        default=60, gt=0, description="Seconds after which it is ended and counts as failed."
    )
    proves: Literal["smoke", "health", "error_rate", "response_time", "database", "other"] = Field(
        default="smoke", description="What a pass proves."
    )


class SqlOptions(Declared):
    """Options of a check of kind `sql`."""

    kind: Literal["sql"]
    name: str = Field(min_length=1, default="sql", description="How results name this check.")
    query: str = Field(description="One statement that reads; it runs in a read-only transaction.")
    expect: bool | int | float | str | None = Field(description="Its first value; null: no row, or NULL.")
    timeout_s: Seconds = Field(default=10, gt=0, description="Seconds that the query may take.")
    proves: Literal["database", "smoke", "other"] = Field(
        default="database", description="What a pass proves."
    )


class PrometheusOptions(Declared):
    """Options of a check of kind `prometheus`."""

    kind: Literal["prometheus"]
    name: str = Field(min_length=1, default="prometheus", description="How results name this check.")
    url: HttpUrl = Field(description="Where Prometheus answers, without /api.")
    query: str = Field(description="PromQL that gives one figure; $window becomes the window, e.g. 60s.")
    limit: float | None = Field(default=None, description="The limit; left out: the pre-release window.")
    better: Literal["lower", "higher"] = Field(
        default="lower", description="Which side of the limit is good."
    )
    tolerance: float = Field(
        default=0.5, ge=0, le=100, description="How far off the pre-release window is normal."
    )
    window_s: int = Field(
        default=60, ge=1, le=86_400, description="Seconds looked at; they begin after the change."
    )
    proves: Literal["error_rate", "response_time", "other"] = Field(description="What a pass proves.")
    headers: dict[str, SecretStr] = Field(default={}, description="Request headers; secrets as ${NAME}.")


CheckOptions = Annotated[
    HttpOptions | ProbesOptions | CommandOptions | SqlOptions | PrometheusOptions, Field(discriminator="kind")
]


def secrets_of(options: CheckOptions) -> tuple[str, ...]:
    """Return what must never be shown: the values of request headers."""
    if isinstance(options, HttpOptions | PrometheusOptions):
        return tuple(value.get_secret_value() for value in options.headers.values())
    return ()
