"""How a canary stands, for a person: shares, versions, what was meant, and the next command."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from backout.canary import Canary, Word
from backout.document import Document
from backout.message import Message, msg
from backout.observed import Answer, SideNow
from backout.report.duration import age
from backout.report.markup import clean

_KEPT = {
    Answer.YES: msg("kept when the router is reloaded"),
    Answer.NO: msg("NOT kept when the router is reloaded"),
    Answer.UNKNOWN: msg("not known whether that is kept when the router is reloaded"),
}


class CanaryStatus(Document):
    """How a canary stands: what the router does, and what was meant.

    Attributes:
        sides: As router and sides say now.
        kept: Whether the router divides requests so also after a reload.
        steps: The shares that are configured, in per cent.
        canary: As the journal says; its `meant` is what was last meant, and the router's shares are what is so.
        share: Of the requests, so many per cent go to the canary; null: none is under way.
        at_step: Whether that is one of the steps, and the rest goes to the control side.
        waits: Run of a step that was cut short; null: none.
        warm: Sides that get no requests: until when each is kept, or the command that stops it.
        notes: What does not fit together, or is not known.
        next_command: The one command to type.
    """

    service: str
    environment: str
    observed_at: datetime
    sides: tuple[SideNow, ...]
    kept: Answer
    steps: tuple[int, ...]
    canary: Canary
    share: int | None
    at_step: bool
    waits: str | None
    warm: tuple[Message, ...] = ()
    notes: tuple[Message, ...]
    next_command: str

    @property
    def paused(self) -> Word | None:
        """Who paused it; None: nobody. While it is, nothing may give the canary more requests."""
        return self.canary.paused


def canary_lines(found: CanaryStatus) -> Iterator[str]:
    """Yield the lines of `backout canary status`."""
    yield f"{found.service} · {found.environment}"
    yield ""
    meant, now = found.canary.meant, found.observed_at
    if meant is None:
        yield "  canary    none"
    else:
        since = age(found.canary.since or now, now)
        step = "" if found.at_step else ", which is no step"
        steps = ", ".join(map(str, found.steps))
        yield f"  canary    {clean(meant.version)} on {meant.side}, begun {since}"
        yield f"  gets      {found.share if found.share is not None else 'an unknown share'} %{step}  (steps {steps})"
    if found.canary.stopped is not None:
        yield f"  stopped   {_word(found.canary.stopped, now)}"
    if found.paused is not None:
        yield f"  paused    {_word(found.paused, now)}"
    for side in found.sides:
        yield f"  {side.name:<9} {_side(side)}"
    yield f"  router    {_KEPT[found.kept]}"
    for word in found.canary.backed_out.values():
        if word != found.canary.stopped:
            yield f"  stopped   {_word(word, now)}"
    for kept in found.warm:
        yield f"  kept      {kept}"
    for note in found.notes:
        yield f"  note      {note}"
    yield ""
    yield f"  → {found.next_command}"


def _side(side: SideNow) -> Message:
    ready = "ready" if side.not_ready is None else f"not ready: {str(side.not_ready).rstrip('.')}"
    sticking = " (clients that stick to it reach it)" if side.admits and not side.share else ""
    return msg(
        "{share} %  {version}  {ready}, {inside} inside{sticking}",
        share=side.share,
        version=side.version or "version unknown",
        ready=ready,
        inside="perhaps some" if side.inside is None else side.inside,
        sticking=sticking,
    )


def _word(word: Word, now: datetime) -> str:
    what = clean(word.version) if word.version else word.side
    told = f"{age(word.at, now)} by {word.by}{f': {clean(word.reason)}' if word.reason else ''}"
    return f"{what}, {told}" if what else told
