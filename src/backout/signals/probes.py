"""`probes`: requests of backout's own to each side, past the router, the same number to each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from backout.clock import Clock
from backout.document import Json
from backout.guard import Arm, Errors, Look
from backout.guard.looks import NOBODY
from backout.message import msg
from backout.signals.base import Reading, Span
from backout.signals.options import ProbeErrors
from backout.trust import authorities

if TYPE_CHECKING:
    from backout.guard import ErrorRate


@dataclass(frozen=True, slots=True)
class ProbesSignal:
    """Asks, and counts what is no 2xx in time as failed: a dead side is a failure, not a gap."""

    options: ProbeErrors
    clock: Clock
    urls: Mapping[str, str]
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
        """Ask now: a look that begins now and ends with the last answer."""
        arms = span.arms
        until_s = self.clock.monotonic_s() + span.deadline_s
        began = max(self.clock.now(), span.since)
        if arms is None:
            if self.options.url is None:
                return Reading(why=msg("{metric}: `url` is not declared", metric=self.metric.name))
            canary, control = self._ask([self.options.url], [], until_s)
        else:
            lacking = [name for name in (arms.canary, *arms.control) if name not in self.urls]
            if lacking:
                why = msg("{metric}: no URL is known of {side}", metric=self.metric.name, side=lacking[0])
                return Reading(why=why)
            beside = [self.urls[name] for name in arms.control]
            canary, control = self._ask([self.urls[arms.canary]], beside, until_s)
        if not canary.requests:
            return Reading(why=msg("{metric}: no time was left to ask", metric=self.metric.name))
        ended = max(self.clock.now(), began + timedelta(milliseconds=1))
        share = arms.share if arms is not None and arms.control else None
        errors = {
            self.metric.name: Errors(
                canary=canary, control=control if arms is not None and arms.control else None
            )
        }
        return Reading(looks=(Look(began=began, ended=ended, share=share, errors=errors),))

    def _ask(self, own: list[str], beside: list[str], until_s: float) -> tuple[Arm, Arm]:
        canary = control = NOBODY
        # In turn, so that a side that hangs does not take the other's time.
        for number in range(self.options.per_look):
            canary += self._asked(own[number % len(own)], until_s)
            if beside:
                control += self._asked(beside[number % len(beside)], until_s)
        return canary, control

    def _asked(self, url: str, until_s: float) -> Arm:
        """Ask once. What the end of the look cut short had not its time: it is no failure, and not counted."""
        import httpx2

        timeout_s = self.options.timeout_s
        left_s = until_s - self.clock.monotonic_s()
        if left_s <= 0:
            return NOBODY
        try:
            # A connection for each: what is asked is whether somebody new is served.
            answer = httpx2.get(
                url,
                timeout=min(left_s, timeout_s),
                trust_env=False,
                verify=authorities(environment=False),
            )
        except httpx2.TimeoutException:
            return Arm(requests=1, errors=1) if left_s >= timeout_s else NOBODY
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            return Arm(requests=1, errors=1)
        return Arm(requests=1, errors=int(not 200 <= answer.status_code < 300))
