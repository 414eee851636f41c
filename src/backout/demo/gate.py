"""The front port's gate: lets requests through, keeps them waiting in order, or turns them away."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter, deque
from enum import StrEnum
from pathlib import Path


class Mode(StrEnum):
    """What happens to a request that arrives."""

    PASS = "pass"
    QUEUE = "queue"
    MAINTENANCE = "maintenance"


class Gate:
    """Counts who is inside; the mode outlives a restart.

    Args:
        file: Where the mode is kept.
        most_inside: Requests that may be inside at once; further ones wait in order.

    Raises:
        ValueError: The file is there and says nothing understandable; guessing could let requests
            through that somebody held back.
    """

    def __init__(self, file: Path, most_inside: int = 64) -> None:
        self._file, self._most = file, most_inside
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._changed = asyncio.Condition()
        self.inside = 0
        self.reason = ""
        self.answers: Counter[str] = Counter()
        self.mode = Mode.PASS
        if file.exists():
            kept = json.loads(file.read_text(encoding="utf-8"))
            self.mode, self.reason = Mode(kept["mode"]), str(kept["reason"])

    @property
    def waiting(self) -> int:
        """Requests that wait now."""
        return sum(not future.done() for future in self._waiting)

    async def enter(self) -> bool:
        """Wait for the turn of this request; returns False when it has to be turned away."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                await self.leave()
            raise

    async def leave(self) -> None:
        """Say that a request that was let in is finished."""
        self.inside -= 1
        self._admit()
        async with self._changed:
            self._changed.notify_all()

    async def set_mode(self, mode: Mode, reason: str) -> None:
        """Make the mode true for every request that is not yet inside, and keep it on disk first."""
        if (mode, reason) != (self.mode, self.reason):
            self._keep(mode, reason)
        self.mode, self.reason = mode, reason
        self._admit()
        async with self._changed:
            self._changed.notify_all()

    async def drained(self, mode: Mode, timeout_s: float) -> bool | None:
        """Wait until nobody is inside: True done, False not in time, None the mode was changed meanwhile."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: not self.inside or self.mode != mode)
        except TimeoutError:
            return False
        return True if self.mode == mode else None

    def _admit(self) -> None:
        while self._waiting and self.mode != Mode.QUEUE:
            if self.mode == Mode.PASS and self.inside >= self._most:
                return
            turn = self._waiting.popleft()
            if turn.done():
                continue
            self.inside += self.mode == Mode.PASS
            turn.set_result(self.mode == Mode.PASS)

    def _keep(self, mode: Mode, reason: str) -> None:
        beside = self._file.with_name(self._file.name + ".new")
        with beside.open("w") as out:
            json.dump({"mode": mode, "reason": reason}, out)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(self._file)
