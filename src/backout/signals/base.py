"""What a signal is: it tells of one metric what requests came to between two moments, in the release and beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Protocol

from pydantic import Field

from backout.document import Document, Json
from backout.guard import ErrorRate, Latency, Look
from backout.message import Message

if TYPE_CHECKING:
    from backout.platforms.abilities import Arms


@dataclass(frozen=True, slots=True)
class Span:
    """What a reading is about.

    Attributes:
        since: Until when the metric is known; before anything is: when it may begin.
        now: When it is read.
        released_at: When the release got its first request.
        arms: Who serves the release and who does not; None: the release serves everybody.
        deadline_s: Seconds that the reading may take.
        not_before: Of the time from the release until then it is not known whose the requests were; None: it is.
    """

    since: datetime
    now: datetime
    released_at: datetime
    arms: Arms | None
    deadline_s: float
    not_before: datetime | None = None


class Reading(Document):
    """What was read.

    Attributes:
        looks: In order; none: there are no data, or not yet.
        memory: What the next reading goes on from, after a restart too.
        why: Why there are no data, where that is trouble.
        notes: What else a person has to know of what was read.
        without_id: Of the requests since the release so many may be retries of others.
    """

    looks: tuple[Look, ...] = ()
    memory: Json = None
    why: Message | None = None
    notes: tuple[Message, ...] = ()
    without_id: int = Field(default=0, ge=0)


class Signal(Protocol):
    """One source of one metric."""

    looks_back: ClassVar[bool]
    """Whether it can tell of times in which nobody asked it."""
    has_ids: ClassVar[bool]
    """Whether it counts each request once, by its id, and says of how many it could not (`Reading.without_id`)."""

    @property
    def metric(self) -> ErrorRate | Latency:
        """What it is of."""
        ...

    @property
    def lag_s(self) -> float:
        """How old its newest data may be, in seconds."""
        ...

    def read(self, span: Span, memory: Json) -> Reading:
        """Read; changes nothing but that probes are requests. What is not known is left out, never zero, and never an error.

        Args:
            span: Since when, and of whom.
            memory: Of the reading before; None: there was none.
        """
        ...
