"""Cold start, as ratios to a bare Python in the same run: `backout --version` and `backout releases`.

Goals: `--version` at most 8 times a bare `python -c pass`, `releases` with 100,000 releases at most 20 times.
The service is a usual one: a process runs, the configuration declares a router, a database and checks.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

PAIRS = 25
RELEASES = 100_000
GOALS = {"--version": 8, "releases": 20}
CURRENT = f"1.{RELEASES - 1}.0"

CONFIG = """\
service: shop
environment: production
platform: {kind: process, root: srv, start: [bin/serve], pid_file: shared/pid}
router: {kind: front, admin: "http://127.0.0.1:8081"}
database: {kind: postgres, url: "postgresql://shop@127.0.0.1/shop"}
checks:
  - {kind: http, url: "http://127.0.0.1:8080/health"}
  - {kind: probes, url: "http://127.0.0.1:8080/", max_error_rate: 0.01, max_p95_ms: 250}
"""


def measure() -> dict[str, Any]:
    """Return for each verb the median of paired ratios, by the clock on the wall and by processor time."""
    backout = str(Path(sys.executable).with_name("backout"))
    with tempfile.TemporaryDirectory(prefix="backout-bench-") as folder, service(Path(folder)) as directory:
        return {verb: _ratio([backout, verb], directory) | {"goal": goal} for verb, goal in GOALS.items()}


@contextmanager
def service(directory: Path) -> Iterator[Path]:
    """Run something as the newest release, with a state file as 100,000 times `record` would have written it."""
    fill(directory)
    running = subprocess.Popen(["sleep", "3600"], cwd=directory / "srv" / "releases" / CURRENT)
    (directory / "srv" / "shared" / "pid").write_text(f"{running.pid}\n")
    try:
        seen = subprocess.run(
            [sys.executable, "-m", "backout", "releases", "--json"],
            cwd=directory,
            check=True,
            capture_output=True,
        )
        assert json.loads(seen.stdout)["rows"][0]["current"], "the service is not seen"
        yield directory
    finally:
        running.kill()
        running.wait()


def fill(directory: Path) -> None:
    from backout.execute.store import Store
    from backout.release import Artefact, Release, ReleaseState

    (directory / "backout.yaml").write_text(CONFIG)
    (directory / "srv" / "releases" / CURRENT).mkdir(parents=True)
    (directory / "srv" / "shared").mkdir()
    (directory / "srv" / "current").symlink_to(f"releases/{CURRENT}")
    store, now = Store(directory / ".backout"), datetime.now(UTC)
    with store.writing() as sql:
        for number in range(RELEASES):
            release = Release(
                id=f"rel-{number:06d}",
                service="shop",
                environment="production",
                version=f"1.{number}.0",
                deployed_at=now - timedelta(minutes=RELEASES - number),
                deployed_by="bench",
                commit=f"{number:040x}",
                subject="bench",
                artefact=Artefact(ref=f"1.{number}.0"),
                state=ReleaseState.GOOD,
            )
            row = (release.id, release.version, release.deployed_at.isoformat(), release.model_dump_json())
            sql.execute("INSERT INTO releases VALUES (?, ?, ?, ?)", row)
    store.close()


def _ratio(command: list[str], cwd: Path) -> dict[str, Any]:
    bare = [sys.executable, "-c", "pass"]
    for warm in (bare, command):
        _run(warm, cwd)
    pairs = [(_run(bare, cwd), _run(command, cwd)) for _ in range(PAIRS)]
    wall = [(python[0], ours[0]) for python, ours in pairs]
    cpu = [(python[1], ours[1]) for python, ours in pairs]
    return {
        "ratio": round(statistics.median(ours / python for python, ours in wall), 1),
        "ratio_cpu": round(statistics.median(ours / python for python, ours in cpu), 1),
        "seconds": round(statistics.median(ours for _, ours in wall), 4),
        "bare_python_seconds": round(statistics.median(python for python, _ in wall), 4),
        "pairs": PAIRS,
    }


def _run(command: list[str], cwd: Path) -> tuple[float, float]:
    """Return the seconds on the wall, and those of the processor."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        command,
        cwd=cwd,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
