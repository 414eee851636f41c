"""Asking slow sources without waiting for them longer than agreed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from backout.errors import BackoutError
from backout.message import Message, msg
from backout.observed import Observed

T = TypeVar("T")


class Question:
    """One source, asked in the background at once.

    The thread is a daemon: a source that never answers cannot keep the process alive.
    """

    def __init__(self, source: str, ask: Callable[[], Any]) -> None:
        self._source, self._ask = source, ask
        self._value: Any = None
        self._unknown: Message | None = None
        self._answered = threading.Event()
        threading.Thread(target=self._run, name=f"ask {source}", daemon=True).start()

    def _run(self) -> None:
        try:
            self._value = self._ask()
        except BackoutError as error:
            self._unknown = error.what
        except Exception as error:  # A source must not take the others with it; its name and kind are told.
            self._unknown = msg("{source} failed ({kind}).", source=self._source, kind=type(error).__name__)
        self._answered.set()

    def answer(self, kind: type[T], timeout_s: float, now: datetime) -> Observed[T]:
        """Return what the source said, or unknown once the time is over."""
        value, unknown = self.told(kind, timeout_s)
        return Observed[kind](value=value, unknown=unknown, source=self._source, observed_at=now)  # type: ignore[valid-type]

    def told(self, kind: type[T], timeout_s: float) -> tuple[T | None, Message | None]:
        """Return what the source said and None, or None and why it is unknown; for what is not kept."""
        if not self._answered.wait(max(0.0, timeout_s)):
            return None, msg("{source} did not answer in time.", source=self._source)
        return (self._value, None) if self._unknown is None else (None, self._unknown)
