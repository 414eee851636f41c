"""Seconds and ages as people say them; the one place that decides how a time looks."""

from __future__ import annotations

from datetime import UTC, datetime

from backout.message import Message, msg

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_MILLISECONDS_BELOW_S = 0.0995
_TENTHS_BELOW_S = 59.95


def duration(seconds: float) -> str:
    """Return how long something took: ``35 ms``, ``0.8 s``, ``2 min 05 s``, ``3 h 20 min``, ``12 d 4 h``.

    Args:
        seconds: May be negative, when a wall clock was set back meanwhile.
    """
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if seconds == 0:
        return "0 s"
    if seconds < _MILLISECONDS_BELOW_S:
        return f"{sign}{max(1, round(seconds * 1000))} ms"
    if seconds < _TENTHS_BELOW_S:
        return f"{sign}{seconds:.1f} s"
    if round(seconds) < _HOUR_S:
        minutes, rest = divmod(round(seconds), _MINUTE_S)
        return f"{sign}{minutes} min {rest:02d} s"
    if round(seconds / _MINUTE_S) * _MINUTE_S < _DAY_S:
        hours, rest = divmod(round(seconds / _MINUTE_S), 60)
        return f"{sign}{hours} h {rest:02d} min"
    days, rest = divmod(round(seconds / _HOUR_S), 24)
    return f"{sign}{days} d {rest} h"


def span(seconds: float) -> str:
    """Return an amount of time in its largest unit, rounded down: ``45 s``, ``5 min``, ``3 h``, ``12 d``."""
    for unit_s, name in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= unit_s:
            return f"{int(seconds // unit_s)} {name}"
    return f"{int(seconds)} s"


def age(then: datetime, now: datetime) -> Message:
    """Return how long ago something was; says so when it lies ahead of this machine's clock."""
    seconds = (now - then).total_seconds()
    if seconds <= -1:
        return msg("{span} ahead of this clock", span=span(-seconds))
    if seconds < 1:
        return msg("just now")
    return msg("{span} ago", span=span(seconds))


def moment(at: datetime) -> str:
    """Return a time as ``2026-11-23 03:04:05 UTC``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
