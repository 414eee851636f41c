"""`make corpus`: takes the migrations of pinned public packages there and back, and writes down what came of it."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.corpus import report
from tests.corpus.installing import cache
from tests.corpus.projects import Project, named

_HOURS_S = 12 * 3600


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is wanted and not there yet, print the table, and write the files."""
    told = _parsed(argv)
    folder = cache() / "results"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = named(told.project)
    if not told.report:
        with ThreadPoolExecutor(told.jobs) as pool:
            for line in pool.map(lambda one: _run(one, folder, told.every, fresh=told.fresh), wanted):
                _say(line)
    found = report.read(folder)
    _say(report.table(found))
    if told.write:
        report.write(found)
    return 1 if any(one.count("wrong") for one in found) else 0


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus")
    parser.add_argument(
        "--project", help="only those whose names hold one of these words (with commas between)"
    )
    parser.add_argument(
        "--every", type=int, default=1, help="only every so many-th migration is taken there and back"
    )
    parser.add_argument("--jobs", type=int, default=2, help="so many projects at the same time")
    parser.add_argument("--fresh", action="store_true", help="also those of which there are results")
    parser.add_argument(
        "--report", action="store_true", help="run none; only tell of the results that there are"
    )
    parser.add_argument(
        "--write", action="store_true", help="write tests/corpus/results.json and docs/reversibility.md"
    )
    return parser.parse_args(argv)


def _run(project: Project, folder: Path, every: int, *, fresh: bool) -> str:
    """Run a project in a process of its own, as the engine hands signals on to its commands; return how it ended."""
    file = folder / f"{project.name.replace('@', '').replace('/', '+')}.jsonl"
    if not fresh and report.is_complete(file, every):
        return f"{project.name}: there already"
    argv = [sys.executable, "-m", "tests.corpus.one", project.name, str(file), str(every)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_HOURS_S, check=False)
    if done.returncode:
        return f"{project.name}: could not be run: {done.stderr[-1500:]}"
    return f"{project.name}: done"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
