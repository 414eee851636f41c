"""A canary as the journal tells it: which release gets a share of the requests, whether it is paused, what was stopped.

How many requests it gets is told by the router alone; here is what was meant. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from backout.document import Document, Json

MEANT, WITHDRAWN, PAUSED, RESUMED, STOPPED = (
    "canary.meant",
    "canary.withdrawn",
    "canary.paused",
    "canary.resumed",
    "canary.stopped",
)
KINDS = (MEANT, WITHDRAWN, PAUSED, RESUMED, STOPPED)
"""Kinds of event in the journal; no run has to be read for them."""
STOP_ID = "canary"
"""How the ids of stops begin: a run that one has ended names it."""
DEFAULT_STEPS = (1, 5, 25, 50, 100)


class Meant(Document):
    """What was about to be done, noted before the router was told.

    Attributes:
        version: The release, as people call it.
        ref: What its side says it runs.
        side: The side that it is on.
        control: The side with the other requests.
        share: Of the requests, so many per cent go to `side`.
    """

    version: str
    ref: str
    side: str
    control: str
    share: int


class Word(Document):
    """Somebody's word on a canary: paused, or stopped.

    Attributes:
        side: The one that was stopped.
        version: What ran there, if it was known.
    """

    at: datetime
    by: str
    reason: str | None = None
    side: str | None = None
    version: str | None = None


class Canary(Document):
    """How a canary stands, as far as the journal goes.

    Attributes:
        meant: The newest one that was started; null: none was, or it was stopped.
        since: When it was started.
        run: The run that noted `meant`.
        paused: Who paused it; null: nobody. While it is, no share grows (`next`, the guard).
        stopped: The newest stop; null: there was none since the newest start.
        backed_out: Stops by version: releases whose canary was stopped, and that were not started again by name.
        changed: What tells this state from any other.
    """

    meant: Meant | None = None
    since: datetime | None = None
    run: str | None = None
    paused: Word | None = None
    stopped: Word | None = None
    backed_out: dict[str, Word] = {}
    changed: str | None = None


def fold(events: Iterable[tuple[datetime, str, str | None, str, Mapping[str, Json]]]) -> Canary:
    """Return how it stands after these events, oldest first: (at, actor, run, kind, body) of `KINDS`."""
    state = Canary()
    for at, actor, run, kind, body in events:
        state = _next(state, at, actor, run, kind, body).model_copy(
            update={"changed": f"{kind} {at.isoformat()}"}
        )
    return state


def _next(
    state: Canary, at: datetime, actor: str, run: str | None, kind: str, body: Mapping[str, Json]
) -> Canary:
    if kind == MEANT:
        meant = Meant.model_validate(body)
        goes_on = state.meant is not None and (state.meant.ref, state.meant.side) == (meant.ref, meant.side)
        left = {version: word for version, word in state.backed_out.items() if version != meant.version}
        return Canary(
            meant=meant,
            since=state.since if goes_on else at,
            run=run,
            paused=state.paused if goes_on else None,
            backed_out=left,
        )
    if kind == WITHDRAWN:
        return Canary(stopped=state.stopped, backed_out=state.backed_out)
    if kind == RESUMED:
        return state.model_copy(update={"paused": None})
    word = Word.model_validate({**body, "at": at, "by": actor})
    if kind == PAUSED:
        return state.model_copy(update={"paused": word})
    backed_out = state.backed_out | ({word.version: word} if word.version else {})
    return Canary(stopped=word, backed_out=backed_out)
