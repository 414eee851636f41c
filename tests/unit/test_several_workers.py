"""With several workers the suite says the same as with one: what was left out, what the crash suite counted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
COUNTED = """
import os
import pytest

@pytest.mark.parametrize("n", range(4))
def test_round(n, record_property):
    record_property("crash", {
        "claims": {"killed, resumed": [9 + n % 2, 10]}, "failed": {"killed, resumed": {"status 502": n}},
        "sent": 100, "longest_s": 0.5 * n, "acknowledged": 50, "lost": 0, "uncounted": 0, "seed": 7,
    })

def test_prometheus(require_service):
    require_service("prometheus")
"""
SHARED = """
import os
import pytest

@pytest.fixture(scope="module")
def server():
    with open(os.environ["STARTED"], "a") as out:
        print(os.getpid(), file=out)

@pytest.mark.parametrize("n", range(10))
def test_it(server, n):
    pass
"""
pytestmark = pytest.mark.slow


def run(folder: Path, test: str, *words: str, **environ: str) -> tuple[int, str]:
    """Run tests under this project's conftest in a project of their own."""
    tests = folder / "tests"
    (tests / "crash").mkdir(parents=True)
    for name in ("conftest.py", "in_memory.py", "scheduling.py", "crash/totals.py"):
        shutil.copy(TESTS / name, tests / name)
    (tests / "test_it.py").write_text(test)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words, str(tests)],
        env={"PATH": str(folder), "HOME": os.environ.get("HOME", "/"), **environ},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("workers", ["0", "3"])
def test_what_was_counted_is_added_up_and_what_was_left_out_is_said_last(
    tmp_path: Path, workers: str
) -> None:
    code, out = run(tmp_path, COUNTED, "-n", workers, BACKOUT_SKIP="prometheus,node")
    assert code == 0, out
    assert "crash: killed, resumed: 38 of 40; requests failed: 6 {'status 502': 6}" in out
    assert "crash: all claims: 38 of 40" in out
    assert "random instants from seed 7" in out
    assert "400 requests sent meanwhile, the longest took 1.5 s; 200 rows acknowledged, 0 lost" in out
    lines = out.splitlines()
    assert "4 passed, 1 skipped in" in lines[-2]
    assert lines[-1] == "Left out: node (0 tests), prometheus (1 tests)."


def test_what_is_made_once_for_a_file_is_made_once(tmp_path: Path) -> None:
    started = tmp_path / "started"
    code, out = run(tmp_path, SHARED, "-n", "3", STARTED=str(started))
    assert code == 0, out
    assert len(started.read_text().splitlines()) == 1
    assert "10 passed in" in out
