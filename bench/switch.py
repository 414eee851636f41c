"""Stop one release and have the other one answer: the process platform's steps beside the bare shell commands.

Both on the demo's collector with its PostgreSQL, in turns, from 5.4.0 to 5.3.0; the other way is not measured.
"""

from __future__ import annotations

import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backout.clock import SystemClock
from backout.config.load import load_config
from backout.demo.releases import BAD, GOOD
from backout.demo.stage import Stage
from backout.platforms.base import Site
from backout.testing.steps import acting_on, drive

PAIRS = 10
_BARE = """\
set -eu
pid=$(cat {pid_file})
kill -TERM "$pid"
# A zombie is gone too: some containers have nobody who collects it.
while kill -0 "$pid" 2>/dev/null && ! ps -o stat= -p "$pid" | grep -q Z; do sleep 0.01; done
ln -sfn releases/{version} {root}/current
cd -P {root}/current
set -a; . {root}/shared/env; set +a
nohup {python} -m collector >>{root}/shared/log/collector.log 2>&1 </dev/null &
echo $! >{pid_file}
"""


def measure() -> dict[str, Any]:
    """Return the median seconds of both, and the median of the paired ratios."""
    with tempfile.TemporaryDirectory(prefix="backout-bench-", ignore_cleanup_errors=True) as folder:
        directory = Path(folder)
        directory.chmod(0o755)  # PostgreSQL runs as another user when this is root
        with Stage(directory / "stage", fsync=False) as stage:
            stage.deploy(GOOD)
            pairs = []
            for number in range(PAIRS):
                # Whoever is first finds other caches; so each is first every other time.
                order = (_steps, _shell) if number % 2 else (_shell, _steps)
                took = {way.__name__: _seconds(stage, way) for way in order}
                pairs.append((took["_steps"], took["_shell"]))
    return {
        "steps_seconds": round(statistics.median(ours for ours, _ in pairs), 3),
        "shell_seconds": round(statistics.median(bare for _, bare in pairs), 3),
        "ratio": round(statistics.median(ours / bare for ours, bare in pairs), 2),
        "pairs": PAIRS,
    }


def _seconds(stage: Stage, way: Callable[[Stage], None]) -> float:
    stage.deploy(BAD)
    began = time.perf_counter()
    way(stage)
    while stage.running_version() != GOOD:
        assert time.perf_counter() - began < 30, f"{GOOD} does not answer"
        time.sleep(0.005)
    return time.perf_counter() - began


def _shell(stage: Stage) -> None:
    words = {"pid_file": stage.pid_file, "root": stage.root, "python": sys.executable, "version": GOOD}
    script = _BARE.format(**{name: shlex.quote(str(word)) for name, word in words.items()})
    subprocess.run(
        ["sh", "-c", script],
        check=True,
        env=stage.environ(),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def _steps(stage: Stage) -> None:
    loaded = load_config(stage.config, stage.environ())
    site = Site("collector", "production", stage.directory, stage.environ(), SystemClock(), loaded.redactor)
    platform = loaded.platform.adapter.create(loaded.platform.options, site)
    kinds, workload = platform.step_kinds(), platform.observe(5)
    for spec in platform.switch(workload, platform.identify(GOOD), from_version=BAD, to_version=GOOD):
        probe = drive(kinds[spec.kind], spec, acting_on({"platform": platform}))
        assert probe.answer == "done", str(probe.evidence)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
