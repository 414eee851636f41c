"""The one screen: what it shows, and how it is laid out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from backout.document import Document
from backout.message import Message
from backout.observed import Answer
from backout.plan.model import Estimate
from backout.release import Release
from backout.report.duration import age, duration
from backout.report.markup import clean, first_line


class Acting(Document):
    """Who acts on the environment now, or which run waits."""

    run: str
    holder: str
    since: datetime
    step: str | None
    waits: bool


class Overview(Document):
    """The answer to `backout`.

    Attributes:
        since: When the current release began to serve, as far as it is known: its deploy, or its way back.
        acting_known: Whether the lease could be read; if not, `acting` is a run that waits, or nobody is known to act.
        safe: Whether going back to `previous` is safe, and why.
        canary: The release that shares the requests with what was there before; or whose step was cut short; null: none.
        paused: What else changes the service and stands paused, with the command that lets it go on.
        unknown: What did not answer in time, and why.
        next_command: The one command to type.
    """

    service: str
    environment: str
    observed_at: datetime
    current: Release | None
    since: datetime | None
    running: tuple[str, ...]
    up: int
    expected: int
    previous: Release | None
    safe: Answer
    why: Message
    duration: Estimate
    acting: Acting | None
    acting_known: bool = True
    held: tuple[str, ...]
    canary: Message | None = None
    paused: tuple[Message, ...] = ()
    unknown: tuple[Message, ...]
    next_command: str


def overview_lines(seen: Overview) -> Iterator[str]:
    """Yield the screen's lines."""
    yield f"{seen.service} · {seen.environment}"
    yield ""
    yield f"  running   {_release(seen.current, seen, seen.since)}  ({seen.up} of {seen.expected} up)"
    yield f"  before    {_release(seen.previous, seen)}"
    yield f"  going back safe?  {seen.safe.value}: {seen.why}"
    yield f"  would take        {_expected(seen.duration)}"
    if seen.canary is not None:
        yield f"  canary    {seen.canary}"
    if seen.held:
        yield f"  held      {', '.join(seen.held)}"
    for reminder in seen.paused:
        yield f"  paused    {reminder}"
    if seen.acting is not None:
        verb = "waits" if seen.acting.waits else "acts"
        yield f"  run {seen.acting.run} {verb} at {seen.acting.step} ({seen.acting.holder})"
    else:
        yield "  acting    nobody" if seen.acting_known else "  acting    unknown"
    for reason in seen.unknown:
        yield f"  unknown   {reason}"
    yield ""
    yield f"  → {seen.next_command}"


def _release(release: Release | None, seen: Overview, since: datetime | None = None) -> str:
    if release is None:
        return "unknown"
    at = since or release.deployed_at
    when = str(age(at, seen.observed_at)) if at.year > 1970 else "since when is unknown"
    subject = f"  {first_line(release.subject)}" if release.subject else ""
    return f"{clean(release.version)}  {when}, {release.state.value}{subject}"


def _expected(estimate: Estimate) -> str:
    if estimate.seconds is None:
        return "not measured"
    return f"{duration(estimate.seconds)} (median of {estimate.runs})"
