"""Waiting for what comes true by itself."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    """Look again and again until it is so; fail when it is not in time."""
    ends_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_s, "did not come true in time"
        time.sleep(0.02)
