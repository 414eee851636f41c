"""Since when a side gets no requests, as far as the journal tells. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from backout.canary import STOPPED
from backout.execute.held import steps_of
from backout.execute.journal import Event
from backout.execute.run import Run, StepState
from backout.observed import SideNow


@dataclass(frozen=True, slots=True)
class Warm:
    """One side that gets no requests, and is kept running for a while.

    Attributes:
        since: When it lost its requests; None: nothing tells.
        until: Until when it is kept; None: nothing tells since when it gets none.
        way_back: Whether its version may come back: it was not backed out.
    """

    side: SideNow
    since: datetime | None
    until: datetime | None
    way_back: bool

    def is_over(self, now: datetime) -> bool:
        """Return whether it need not be kept any more; what is not known is not over."""
        return not self.way_back or (self.until is not None and self.until <= now)


def kept(side: SideNow, since: datetime | None, keep_s: float, *, way_back: bool) -> Warm:
    """Return a side that is kept for seconds after it lost its requests."""
    return Warm(side, since, None if since is None else since + timedelta(seconds=keep_s), way_back)


def lost_at(side: str, runs: Iterable[Run], events: Iterable[Event]) -> datetime | None:
    """Return when a side last lost all its requests: by a step of a run, or by a stop of its canary; None: by neither."""
    found = [e.at for e in events if e.kind == STOPPED and e.body.get("side") == side]
    for run in runs:
        for progress, spec in steps_of(run):
            if spec.kind != "sides.shift" or progress.state is not StepState.CONFIRMED or progress.already:
                continue
            shares, previous = spec.params["shares"], spec.params["previous"]
            assert isinstance(shares, dict)
            assert isinstance(previous, dict)
            before = previous["shares"]
            assert isinstance(before, dict)
            if not shares.get(side) and before.get(side) and progress.confirmed_at is not None:
                found.append(progress.confirmed_at)
    return max(found, default=None)


def since(lost: datetime | None, own: datetime | None, serving: datetime | None) -> datetime | None:
    """Return since when a side gets no requests; None: nothing tells.

    Args:
        lost: When the journal says that it lost them.
        own: When the release that is on it was recorded.
        serving: When the release that gets requests now was recorded.
    """
    # A release that was recorded there later got requests after that, and lost them in a way that nobody noted.
    noted = lost if lost is not None and (own is None or lost >= own) else None
    # Who sent requests elsewhere by hand recorded what is there.
    recorded = serving if own is not None and serving is not None and serving > own else None
    return max((at for at in (noted, recorded) if at is not None), default=None)
