"""`router`: what the router itself counts, from one reading to the next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from backout.document import Document, Json
from backout.errors import BackoutError
from backout.guard import Arm, Errors, Look
from backout.message import msg
from backout.routers.base import Counted, CountsRequests, RequestsCounted
from backout.signals.base import Reading, Span
from backout.signals.options import RouterErrors

if TYPE_CHECKING:
    from backout.guard import ErrorRate


class _Memory(Document):
    at: datetime
    counted: Counted


@dataclass(frozen=True, slots=True)
class RouterSignal:
    """Takes the difference of counters. A time in which they began anew (a reload) is left out."""

    options: RouterErrors
    router: CountsRequests
    looks_back: ClassVar[bool] = False
    has_ids: ClassVar[bool] = False

    @property
    def metric(self) -> ErrorRate:
        """As it was declared."""
        return self.options.metric

    @property
    def lag_s(self) -> float:
        """0: it tells of this moment."""
        return 0.0

    def read(self, span: Span, memory: Json) -> Reading:
        """Read what was counted since the reading before."""
        try:
            counted = self.router.counted(span.deadline_s)
        except BackoutError as error:
            return Reading(memory=memory, why=error.what)
        after = _Memory(at=span.now, counted=counted).model_dump(mode="json")
        if memory is None:
            return Reading(memory=after)
        before = _Memory.model_validate(memory)
        if span.now <= before.at:
            why = msg("{metric}: the clock was set back", metric=self.metric.name)
            return Reading(memory=after, why=why)
        earlier = before.counted.sides if before.counted.since == counted.since else {}
        risen = {name: _risen(earlier.get(name), now) for name, now in counted.sides.items()}
        if any(one is None for one in risen.values()):
            why = msg("{metric}: the router's counters began anew", metric=self.metric.name)
            return Reading(memory=after, why=why)
        arms, share, control = span.arms, None, None
        if arms is None:
            canary = _together([one for one in risen.values() if one])
        else:
            canary = risen.get(arms.canary) or Arm(requests=0, errors=0)
            share = arms.share if arms.control else None
            control = _together([one for name in arms.control if (one := risen.get(name))])
        errors = {self.metric.name: Errors(canary=canary, control=control if arms and arms.control else None)}
        look = Look(began=before.at, ended=span.now, share=share, errors=errors)
        return Reading(looks=(look,), memory=after)


def _risen(before: RequestsCounted | None, now: RequestsCounted) -> Arm | None:
    if before is None or now.requests < before.requests or now.failed < before.failed:
        return None
    requests = now.requests - before.requests
    return Arm(requests=requests, errors=min(requests, now.failed - before.failed))


def _together(arms: list[Arm]) -> Arm:
    whole = Arm(requests=0, errors=0)
    for one in arms:
        whole += one
    return whole
