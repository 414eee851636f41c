"""How long the API server is waited for: each question its own time, and in a hurry none past one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backout.clock import Clock

_SHORTEST_S, _SHORTEST_IN_A_HURRY_S = 0.1, 0.02


class Patience:
    """Threads may share it."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._until_s = clock, float("inf")

    def hurry(self, seconds: float | None) -> None:
        """Give every question up so many seconds from now; None: each has its own time again."""
        self._until_s = float("inf") if seconds is None else self._clock.monotonic_s() + seconds

    def end_s(self, patience_s: float) -> float:
        """Return the moment after which a question that may take so long is not tried again."""
        return min(self._clock.monotonic_s() + patience_s, self._until_s)

    def try_s(self, wanted_s: float) -> float:
        """Return how many seconds one try may take that would have `wanted_s`."""
        left_s = self._until_s - self._clock.monotonic_s()
        return max(_SHORTEST_S, wanted_s) if left_s > wanted_s else max(_SHORTEST_IN_A_HURRY_S, left_s)
