"""Cold start, as ratios to a bare Python in the same run: `backout --version` and `backout releases`.

Goals: `--version` at most 8 times a bare `python -c pass`, `releases` with 100,000 releases at most 20 times.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

PAIRS = 15
RELEASES = 100_000

CONFIG = """\
service: shop
environment: production
platform: {kind: process, root: srv, start: [bin/serve], pid_file: shared/pid}
"""


def seconds(command: list[str], cwd: Path) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def ratio(command: list[str], cwd: Path) -> tuple[float, float, float]:
    """Return the median ratio of paired runs, and both medians in seconds."""
    bare = [sys.executable, "-c", "pass"]
    for warm in (bare, command):
        seconds(warm, cwd)
    pairs = [(seconds(bare, cwd), seconds(command, cwd)) for _ in range(PAIRS)]
    ratios = [ours / python for python, ours in pairs]
    return (
        statistics.median(ratios),
        statistics.median(p for p, _ in pairs),
        statistics.median(o for _, o in pairs),
    )


def fill(directory: Path) -> None:
    """Make a state file with many releases, as `record` would have written them one by one."""
    from backout.execute.store import Store
    from backout.release import Artefact, Release, ReleaseState

    (directory / "backout.yaml").write_text(CONFIG)
    releases = directory / "srv" / "releases"
    (releases / f"1.{RELEASES - 1}.0").mkdir(parents=True)
    (directory / "srv" / "current").symlink_to(f"releases/1.{RELEASES - 1}.0")
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


def main() -> None:
    backout = str(Path(sys.executable).with_name("backout"))
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        fill(directory)
        found = {}
        for name, command, goal in (
            ("--version", [backout, "--version"], 8),
            ("releases", [backout, "releases"], 20),
        ):
            times, bare_s, ours_s = ratio(command, directory)
            found[name] = {
                "ratio": round(times, 2),
                "goal": goal,
                "bare_python_s": round(bare_s, 4),
                "s": round(ours_s, 4),
            }
            verdict = "within" if times <= goal else "ABOVE"
            print(
                f"backout {name:<10} {times:5.1f} × bare python ({ours_s:.3f} s / {bare_s:.3f} s), {verdict} the goal of {goal} ×"
            )
        print(json.dumps(found))


if __name__ == "__main__":
    main()
