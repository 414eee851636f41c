"""From a line of a log to a request. Pure. Nothing of a line is ever told, but what is wrong with it: URLs hold tokens."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backout.message import Message, msg
from backout.signals.options import LogFields

_LONGEST = 64 * 1024
_NONE = ("", "-")
"""How nginx, HAProxy and Envoy write that there is no value."""
_AT = "%d/%b/%Y:%H:%M:%S %z"


class Unreadable(Exception):
    """A line is none of a request; `why` says what is wrong with the form, and nothing of the line."""

    def __init__(self, why: Message) -> None:
        super().__init__(str(why))
        self.why = why


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        at: When it ended.
        status: Of HTTP.
        side: Who served it, in the log's words; None: it does not say.
        id: What its client's retries have, too; None: none.
        duration: In the log's unit; None: not asked for.
    """

    at: datetime
    status: int
    side: str | None
    id: str | None
    duration: float | None


def reader(fields: LogFields, pattern: str | None, *, timed: bool) -> Callable[[bytes], Request]:
    """Return what makes a request of a line, or raises `Unreadable`.

    Args:
        fields: How a line calls what is needed.
        pattern: What a line looks like, with those names as its groups; None: it is a JSON object.
        timed: Whether a duration is needed.
    """
    compiled = re.compile(pattern) if pattern is not None else None

    def read(line: bytes) -> Request:
        if len(line) > _LONGEST:
            raise Unreadable(msg("longer than {kib} KiB", kib=_LONGEST // 1024))
        found = _matched(compiled, line) if compiled is not None else _object(line)
        return Request(
            at=_at(fields.time, found),
            status=_status(fields.status, found),
            side=_text(found.get(fields.side)),
            id=_text(found.get(fields.id)),
            duration=_duration(fields.duration, found) if timed else None,
        )

    return read


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise Unreadable(msg("no JSON")) from None
    if not isinstance(found, dict):
        raise Unreadable(msg("no JSON object"))
    return found


def _matched(pattern: re.Pattern[str], line: bytes) -> Mapping[str, Any]:
    match = pattern.search(line.decode(errors="replace"))
    if match is None:
        raise Unreadable(msg("not as `pattern` says"))
    return match.groupdict()


def _text(value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and value not in _NONE else None


def _needed(name: str, found: Mapping[str, Any]) -> str:
    value = _text(found.get(name))
    if value is None:
        raise Unreadable(msg("without `{field}`", field=name))
    return value


def _at(name: str, found: Mapping[str, Any]) -> datetime:
    value = _needed(name, found)
    try:
        at = _instant(value)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise Unreadable(msg("`{field}` is no time", field=name)) from None
    raise Unreadable(msg("`{field}` is a time without its zone", field=name))


def _instant(value: str) -> datetime:
    """Read seconds since 1970 (`$msec`), ISO 8601 (`$time_iso8601`) or the common log format's time (`$time_local`)."""
    try:
        return datetime.fromtimestamp(float(value), UTC)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return datetime.strptime(value, _AT).astimezone(UTC)


def _status(name: str, found: Mapping[str, Any]) -> int:
    value = _needed(name, found)
    # nginx writes 000, and HAProxy -1, where no answer was sent.
    if not re.fullmatch(r"-1|[0-9]{1,3}", value):
        raise Unreadable(msg("`{field}` is no status", field=name))
    return int(value)


def _duration(name: str, found: Mapping[str, Any]) -> float:
    value = _needed(name, found)
    try:
        duration = float(value)
    except ValueError:
        duration = math.nan
    if not 0 <= duration < math.inf:
        raise Unreadable(msg("`{field}` is no duration", field=name))
    return duration
