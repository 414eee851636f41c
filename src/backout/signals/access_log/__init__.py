"""`access-log` and `access-log-latency`: requests one by one, as whoever serves them writes them down."""

from backout.signals.access_log.signal import AccessLogSignal

__all__ = ["AccessLogSignal"]
