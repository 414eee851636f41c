"""The signal: what was written since the reading before, in both arms, each request once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from re import split
from typing import TYPE_CHECKING, ClassVar

from backout.clock import Clock
from backout.document import Document, Json
from backout.guard import Arm, Durations, Errors, Latency, Look
from backout.guard.retries import FirstTries, State
from backout.message import Message, msg
from backout.signals.access_log.file import Following, Places
from backout.signals.access_log.lines import Request, Unreadable, reader
from backout.signals.base import Reading, Span
from backout.signals.options import AccessLogErrors, AccessLogLatency

if TYPE_CHECKING:
    from backout.guard import ErrorRate
    from backout.platforms.abilities import Arms

_WINDOW = timedelta(seconds=60)
"""The longest look, so that the time at which an incident began can be told."""
_MOMENT = timedelta(milliseconds=1)
_AHEAD_S = 5.0
"""Clocks of two machines, and what was written while it was read."""
_MOST_UNREADABLE = 0.01
"""With a larger share of the lines nothing is known: those of the failures may be the ones that cannot be read."""


class _Memory(Document):
    """Where a reading ended: until when requests were counted, where in the log, and which ids were seen."""

    until: datetime
    places: Places
    tries: State


@dataclass(slots=True)
class _Read:
    """What the lines of one reading were."""

    requests: list[tuple[Request, bool]] = field(default_factory=list)
    """With whether it is the first try, in the order of the log."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """By what is wrong with them."""


@dataclass(frozen=True, slots=True)
class AccessLogSignal:
    """Reads whole lines from where it was left. A log without new lines tells of no requests; one that cannot be read tells nothing."""

    options: AccessLogErrors | AccessLogLatency
    clock: Clock
    path: Path
    looks_back: ClassVar[bool] = True
    has_ids: ClassVar[bool] = True

    @property
    def metric(self) -> ErrorRate | Latency:
        """As it was declared."""
        return self.options.metric

    @property
    def lag_s(self) -> float:
        """A minute: who writes the log may keep lines back for a while."""
        return 60.0

    def read(self, span: Span, memory: Json) -> Reading:
        """Read what was written since the reading before; at the first one, as far back as that goes."""
        before = _Memory.model_validate(memory) if memory is not None else None
        tries = FirstTries(before.tries if before is not None else None)
        try:
            with ExitStack() as files:
                log = Following(self.path, before.places if before is not None else None, files)
                read = self._lines(log, tries, span)
                places, left = log.places, log.unread_bytes
        except OSError as error:
            cannot = msg(
                "{metric}: {path} cannot be read: {why}",
                metric=self.metric.name,
                path=str(self.path),
                why=error.strerror or type(error).__name__,
            )
            return Reading(memory=memory, why=cannot)
        began = before.until if before is not None else _known_from(span, read)
        ended, notes = span.now, self._unreadable(read)
        if left and not log.at_the_end:
            newest = max((one.at for one, _ in read.requests), default=began)
            ended = min(span.now, max(newest, began) + _MOMENT)
            notes.append(self._unread(left, span, ended))
        after = _Memory(until=ended, places=places, tries=tries.state).model_dump(mode="json")
        if ended <= began:
            back = msg("{metric}: the clock was set back", metric=self.metric.name) if before else None
            return Reading(memory=after, why=back, notes=tuple(notes))
        counting = _Counting(self.options, span, began, ended, late=before is not None)
        counting.take(read.requests)
        gap = self._gap(log, read, counting)
        if gap is not None:
            return Reading(memory=after, why=gap, notes=tuple(notes))
        return Reading(
            looks=counting.looks(),
            memory=after,
            notes=(*notes, *counting.notes()),
            without_id=counting.without_id,
        )

    def _lines(self, log: Following, tries: FirstTries, span: Span) -> _Read:
        options, found = self.options, _Read()
        timed = isinstance(options, AccessLogLatency)
        read = reader(options.fields, options.pattern, timed=timed)
        until_s = self.clock.monotonic_s() + span.deadline_s
        latest = span.now + timedelta(seconds=span.deadline_s + _AHEAD_S)
        for block in log.blocks():
            for line in block:
                try:
                    request = read(line)
                    if request.at > latest:
                        raise Unreadable(msg("of a time that has not come yet"))
                except Unreadable as none:
                    found.unreadable[str(none.why)] += 1
                    continue
                found.requests.append((request, request.id is None or tries.is_first(request.id)))
            if self.clock.monotonic_s() >= until_s:
                break
        return found

    def _gap(self, log: Following, read: _Read, counting: _Counting) -> Message | None:
        """Return why nothing is known of the time since the reading before; None: what was counted is all there was."""
        name, path = self.metric.name, str(self.path)
        lines = len(read.requests) + read.unreadable.total()
        if log.lost:
            return msg(
                "{metric}: {path} was rotated or cut, and what it had before cannot be found (logrotate: delaycompress)",
                metric=name,
                path=path,
            )
        if read.unreadable.total() > _MOST_UNREADABLE * lines:
            return msg("{metric}: too few lines of {path} can be read", metric=name, path=path)
        if counting.nowhere and not counting.somewhere:
            return msg(
                "{metric}: no line of {path} is of a side that is known (`{field}`, `sides`)",
                metric=name,
                path=path,
                field=self.options.fields.side,
            )
        return None

    def _unreadable(self, read: _Read) -> list[Message]:
        if not read.unreadable:
            return []
        (most, _) = read.unreadable.most_common(1)[0]
        return [
            msg(
                "{metric}: {count} of {lines} lines of {path} cannot be read, and are not counted: {why}",
                metric=self.metric.name,
                count=read.unreadable.total(),
                lines=len(read.requests) + read.unreadable.total(),
                path=str(self.path),
                why=most,
            )
        ]

    def _unread(self, left: int, span: Span, ended: datetime) -> Message:
        return msg(
            "{metric}: {mib} MiB of {path} are still to be read; what is known is {seconds} s old",
            metric=self.metric.name,
            mib=-(-left // 2**20),
            path=str(self.path),
            seconds=round((span.now - ended).total_seconds()),
        )


def _known_from(span: Span, read: _Read) -> datetime:
    """Return from when on a first reading knows everything: an earlier log may have had what this one has not."""
    first = next((one.at for one, _ in read.requests), span.now)
    return min(max(span.since, first), span.now)


class _Counting:
    """Requests of one reading by look and arm.

    Args:
        late: Whether requests from before `began` count: no reading before this one has seen them.
    """

    def __init__(
        self,
        options: AccessLogErrors | AccessLogLatency,
        span: Span,
        began: datetime,
        ended: datetime,
        *,
        late: bool,
    ) -> None:
        self._options, self._span, self._late = options, span, late
        self._before = _cut(began, min(span.released_at, ended))
        served_from = max(span.released_at, span.not_before or span.released_at)
        self._since = _cut(max(began, served_from), ended)
        self._served_from = served_from
        self._sides = _sides(options.sides, span.arms)
        empty = len(options.metric.edges_s) + 1 if isinstance(options, AccessLogLatency) else 2
        self._counts: dict[tuple[datetime, bool], list[int]] = {}
        self._empty = [0] * empty
        self.nowhere = self.somewhere = self.without_id = self._since_release = 0

    def take(self, requests: Iterable[tuple[Request, bool]]) -> None:
        """Count those that are of this time and of an arm, and the first with their id."""
        bucket = _bucket(self._options)
        for one, first in requests:
            began = self._look_of(one.at)
            if began is None:
                continue
            side = self._side(one)
            if side is None and self._span.arms is not None:
                self.nowhere += 1
                continue
            self.somewhere += 1
            arm = self._arm(side, one.at)
            if arm is None:
                continue
            if one.at >= self._span.released_at:
                self._since_release += 1
                self.without_id += one.id is None
            if first:
                counts = self._counts.setdefault((began, arm), list(self._empty))
                counts[bucket(one)] += 1

    def looks(self) -> tuple[Look, ...]:
        """Return the looks, also those without a request."""
        arms = self._span.arms
        beside = arms is not None and bool(arms.control)
        name, found = self._options.metric.name, []
        for began, ended in (*self._before, *self._since):
            canary = self._counts.get((began, True), self._empty)
            control = self._counts.get((began, False), self._empty) if beside else None
            told: Mapping[str, object]
            if isinstance(self._options, AccessLogErrors):
                told = {
                    "errors": {
                        name: Errors(canary=_errors(canary), control=_errors(control) if control else None)
                    }
                }
            else:
                told = {
                    "durations": {
                        name: Durations(canary=tuple(canary), control=tuple(control) if control else None)
                    }
                }
            share = arms.share if arms is not None and beside else None
            found.append(Look.model_validate({"began": began, "ended": ended, "share": share, **told}))
        return tuple(found)

    def notes(self) -> list[Message]:
        """Return what a person has to know of them."""
        name, found = self._options.metric.name, []
        if self.nowhere:
            found.append(
                msg(
                    "{metric}: {count} requests of no side that is known were left out",
                    metric=name,
                    count=self.nowhere,
                )
            )
        if self.without_id:
            found.append(
                msg(
                    "{metric}: {count} of {requests} requests had no id",
                    metric=name,
                    count=self.without_id,
                    requests=self._since_release,
                )
            )
        return found

    def _look_of(self, at: datetime) -> datetime | None:
        """Return the beginning of the look that a request is of; None: it is of another time."""
        released = at >= self._span.released_at
        looks = self._since if released else self._before
        if not looks or (released and at < self._served_from):
            return None
        number = bisect_right(looks, at, key=lambda look: look[0]) - 1
        if number < 0 and not (self._late and released):
            return None
        return looks[max(0, number)][0]

    def _side(self, one: Request) -> str | None:
        if one.side is None:
            return None
        found = self._sides.get(one.side)
        # `$upstream_addr` names all that were tried; the last one gave the answer.
        return found or self._sides.get(split(r",\s*|\s+:\s+", one.side)[-1])

    def _arm(self, side: str | None, at: datetime) -> bool | None:
        """Return whether a request is the release's, or beside it; None: neither."""
        arms = self._span.arms
        if arms is None or side == arms.canary:
            return True
        if arms.control:
            return False if side in arms.control else None
        # The release has them all now; before it came they were on other sides.
        return True if side in arms.rest and at < self._span.released_at else None


def _cut(began: datetime, ended: datetime) -> list[tuple[datetime, datetime]]:
    found = []
    while began < ended:
        until = min(began + _WINDOW, ended)
        found.append((began, until))
        began = until
    return found


def _sides(declared: Mapping[str, tuple[str, ...]], arms: Arms | None) -> dict[str, str]:
    """Return the side by the log's word for it."""
    if arms is None:
        return {}
    names = (arms.canary, *arms.control, *arms.rest)
    return {word: name for name in names for word in declared.get(name, (name,))}


def _errors(counts: list[int]) -> Arm:
    return Arm(requests=sum(counts), errors=counts[1])


def _bucket(options: AccessLogErrors | AccessLogLatency) -> Callable[[Request], int]:
    """Return what tells a request's place: fine or failed, or the bucket of its duration."""
    if isinstance(options, AccessLogErrors):
        numbers = {one for one in options.failed if isinstance(one, int)}
        hundreds = {int(one[0]) for one in options.failed if isinstance(one, str)}
        return lambda one: int(one.status in numbers or one.status // 100 in hundreds)
    edges, scale = options.metric.edges_s, 1000.0 if options.unit == "ms" else 1.0
    return lambda one: bisect_left(edges, (one.duration or 0.0) / scale)
