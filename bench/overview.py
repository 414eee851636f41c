"""`backout` alone while every source accepts and never answers: each has a second, the screen has two."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TIMES, GOAL_S = 9, 2.0
CONFIG = """\
service: shop
platform: {{kind: command, deploy: "deploy {{version}}", list: "sleep 1000", probe: "sleep 1000"}}
router: {{kind: front, admin: "http://127.0.0.1:{port}"}}
database: {{kind: postgres, url: "postgresql://shop@127.0.0.1:{port}/shop"}}
hold:
  commands:
    - {{name: workers, hold: "true", release: "true", probe: "sleep 1000"}}
"""


def measure() -> dict[str, Any]:
    """Return the seconds from typing `backout` to the prompt."""
    with (
        tempfile.TemporaryDirectory(prefix="backout-bench-") as folder,
        socket.create_server(("127.0.0.1", 0), backlog=512) as silent,
    ):
        port = silent.getsockname()[1]
        (Path(folder) / "backout.yaml").write_text(CONFIG.format(port=port))
        seconds = [_seconds(Path(folder)) for _ in range(TIMES)]
    return {
        "p50_seconds": round(statistics.median(seconds), 2),
        "max_seconds": round(max(seconds), 2),
        "goal_seconds": GOAL_S,
        "times": TIMES,
    }


def _seconds(directory: Path) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "backout", "--json"],
        cwd=directory,
        env={**os.environ, "XDG_STATE_HOME": str(directory / "state")},
        capture_output=True,
        timeout=60,
        check=False,
    )
    taken = time.perf_counter() - began
    unknown = json.dumps(json.loads(done.stdout)["unknown"])
    for source in ("platform", "database", "router", "workers"):
        assert source in unknown, f"{source} answered?\n{done.stdout.decode()}"
    return taken


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
