"""Runs every bench in this folder, and writes `bench/results.json`: the figures with their conditions.

Ends with 1 where a pass mark is exceeded; goals are only told.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def main() -> None:
    names = sorted(path.stem for path in HERE.glob("[!_]*.py") if path != Path(__file__))
    found: dict[str, Any] = {"conditions": _conditions(), "results": {}}
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        found["results"][name] = import_module(name).measure()
        print(f"{name}: {json.dumps(found['results'][name])}", flush=True)
    found["conditions"]["load_average_after"] = _load()
    (HERE / "results.json").write_text(json.dumps(found, indent=2) + "\n")
    if exceeded := marks_exceeded(found["results"]):
        sys.exit("\n".join(exceeded))


def marks_exceeded(results: dict[str, Any]) -> list[str]:
    """Return a line for each figure that is above its pass mark."""
    return [
        f"{bench}: {name} is {result[name]}, the pass mark is {mark}"
        for bench, result in results.items()
        for name, mark in result.get("pass_marks", {}).items()
        if result[name] > mark
    ]


def _conditions() -> dict[str, Any]:
    return {
        "measured_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}",
        "system": _system(),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "processor": _processor(),
        "temporary_files_on": _file_system(Path(tempfile.gettempdir())),
        "load_average_before": _load(),
    }


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.platform(terse=True)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _file_system(path: Path) -> str:
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    around = [(where, kind) for where, kind in mounts if path.resolve().is_relative_to(where)]
    return max(around, key=lambda mount: len(mount[0]))[1]


def _load() -> float:
    return round(os.getloadavg()[0], 2)


if __name__ == "__main__":
    main()
