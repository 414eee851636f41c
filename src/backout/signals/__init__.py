"""Where the guard's metrics come from: one file or folder per kind of signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from backout.errors import ConfigError
from backout.message import msg
from backout.signals.options import (
    AccessLogErrors,
    AccessLogLatency,
    ProbeErrors,
    PrometheusErrors,
    PrometheusLatency,
    RouterErrors,
    SignalOptions,
    secrets_of,
)

if TYPE_CHECKING:
    from backout.platforms.base import Site
    from backout.signals.base import Signal

__all__ = ["SignalOptions", "make_signal", "secrets_of"]


def make_signal(options: SignalOptions, site: Site, router: object, urls: Mapping[str, str]) -> Signal:
    """Return the signal of one declared metric; touches nothing.

    Args:
        options: As declared.
        site: The service.
        router: The configured router, or None.
        urls: Where each side says that it is ready.

    Raises:
        ConfigError: The router does not count requests.
    """
    if isinstance(options, RouterErrors):
        from backout.routers.base import CountsRequests
        from backout.signals.router import RouterSignal

        if not isinstance(router, CountsRequests):
            raise ConfigError(
                msg("The metric {name} needs a router that counts requests, as haproxy.", name=options.name),
                state=msg("Nothing was touched."),
                next_command="${EDITOR:-vi} backout.yaml   # guard.metrics: kind access-log, docs/how-to/watch.md",
            )
        return RouterSignal(options, router)
    if isinstance(options, ProbeErrors):
        from backout.signals.probes import ProbesSignal

        return ProbesSignal(options, site.clock, {**urls, **options.urls})
    if isinstance(options, AccessLogErrors | AccessLogLatency):
        from backout.signals.access_log import AccessLogSignal

        return AccessLogSignal(options, site.clock, site.directory / options.path)
    from backout.signals.prometheus import PrometheusSignal

    assert isinstance(options, PrometheusErrors | PrometheusLatency)
    return PrometheusSignal(options, site.clock, site.redactor)
