"""The way back of the demo, three times: seconds, requests, failed ones, the longest one, rows lost."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

TIMES = 3


def measure() -> dict[str, Any]:
    """Return what each demo measured of its way back, and whether all it promises held."""
    told = [_demo() for _ in range(TIMES)]
    return {
        "held": sum(one["holds"] for one in told),
        "times": TIMES,
        "runs": [one["way_back"] for one in told],
    }


def _demo() -> dict[str, Any]:
    command = [sys.executable, "-m", "backout", "demo", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
