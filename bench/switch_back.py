"""Send all requests to the other side at a steady load: backout's routers beside the bare commands, in turns; one file each in `routers/`.

Until the command has returned and the other side answers a new connection. Requests that fail, and those that are sent again
(`backout.testing.traffic.Seen.again`), are counted through all of it, apart for either way.
"""

from __future__ import annotations

import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from _apart import LoadApart  # noqa: E402
from _router_case import SIDES, RouterCase  # noqa: E402

from backout.testing.traffic import get  # noqa: E402

PAIRS = 15
GOALS = {"ratio": 1.1, "failed": 0}


def measure() -> dict[str, Any]:
    """Return for each router the median seconds of both, the median of the paired ratios, and what became of requests."""
    found = {}
    for path in sorted((HERE / "routers").glob("[!_]*.py")):
        for name, case in import_module(f"routers.{path.stem}").cases().items():
            with tempfile.TemporaryDirectory(prefix="bench-") as folder, case(Path(folder)) as made:
                found[name] = _measured(made)
    return {"pairs": PAIRS, "clients": 4, **found, "goals": GOALS}


def _measured(made: RouterCase) -> dict[str, Any]:
    pairs = []
    lost = {name: dict.fromkeys(("requests", "failed", "again"), 0) for name in ("ours", "bare")}
    at, to = SIDES
    for number in range(PAIRS):
        took = {}
        for name in ("ours", "bare") if number % 2 else ("bare", "ours"):
            with LoadApart(made.port) as load:
                load.goes_on()
                took[name] = _seconds(made.port, getattr(made, name), to, at)
                load.goes_on()
            at, to = to, at
            for what in lost[name]:
                lost[name][what] += load.seen[what]
        pairs.append((took["ours"], took["bare"]))
    told: dict[str, Any] = {
        "seconds": round(statistics.median(ours for ours, _ in pairs), 4),
        "bare_seconds": round(statistics.median(bare for _, bare in pairs), 4),
        "ratio": round(statistics.median(ours / bare for ours, bare in pairs), 2),
    }
    for name, prefix in (("ours", ""), ("bare", "bare_")):
        told |= {f"{prefix}{what}": count for what, count in lost[name].items()}
    return told


def _seconds(port: int, way: Callable[[str, str], None], to: str, left: str) -> float:
    began = time.perf_counter()
    way(to, left)
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        answer = get(connection)
        connection.close()
        if answer == (200, to):
            return time.perf_counter() - began
        assert time.perf_counter() - began < 30, f"{to} does not answer"


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
