"""One event in the journal: on disk before the next step begins (FULL), beside what a lost power would risk (NORMAL)."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from backout.clock import SystemClock
from backout.execute.journal import Journal
from backout.execute.store import Store
from backout.redact import Redactor

EVENTS, ROUNDS = 100, 6


def measure() -> dict[str, Any]:
    """Return the median seconds of one append in both modes, measured in turns on the same file."""
    seconds: dict[str, list[float]] = {"FULL": [], "NORMAL": []}
    with tempfile.TemporaryDirectory(prefix="backout-bench-") as folder:
        store = Store(Path(folder))
        journal = Journal(store, SystemClock(), "bench", Redactor())
        for _ in range(ROUNDS):
            for mode, taken in seconds.items():
                store.rows(f"PRAGMA synchronous = {mode}")
                taken += [_append(journal, number) for number in range(EVENTS)]
        store.close()
    full, normal = (statistics.median(seconds[mode]) for mode in ("FULL", "NORMAL"))
    return {
        "full_p50_ms": round(full * 1000, 3),
        "full_p99_ms": round(statistics.quantiles(seconds["FULL"], n=100)[-1] * 1000, 3),
        "normal_p50_ms": round(normal * 1000, 3),
        "ratio": round(full / normal, 2),
        "events": EVENTS * ROUNDS,
    }


def _append(journal: Journal, number: int) -> float:
    began = time.perf_counter()
    journal.append(
        "step.confirmed", {"key": f"step-{number}", "kind": "bench", "seconds": 0.1}, run="run-bench"
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
