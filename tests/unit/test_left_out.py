"""A service that a test needs is there, or left out by name and said so last, or the run fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
import os

def test_prometheus(require_service):
    require_service("prometheus")

def test_environment():
    assert not [n for n in os.environ if n.startswith(("BACKOUT_", "PG"))]
"""


def run(folder: Path, **environ: str) -> tuple[int, list[str]]:
    """Run the test above under this project's conftest, with nothing on the path."""
    for name in ("conftest.py", "in_memory.py"):
        shutil.copy(Path(__file__).parents[1] / name, folder)
    (folder / "__init__.py").touch()
    (folder / "test_it.py").write_text(TEST)
    (folder / "pytest.ini").touch()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        env={"PATH": str(folder), "HOME": os.environ.get("HOME", "/"), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.mark.slow
def test_what_is_missing_fails_and_says_the_remedy(tmp_path: Path) -> None:
    status, lines = run(tmp_path, PGHOST="production", BACKOUT_CONFIG="/x")
    assert status == 1 and lines[-1] == "Left out: nothing."
    assert any(
        "prometheus is missing; scripts/test-setup installs it, BACKOUT_SKIP=prometheus" in n for n in lines
    )
    assert any("1 failed, 1 passed" in n for n in lines)


@pytest.mark.slow
def test_what_is_left_out_by_name_is_said_last(tmp_path: Path) -> None:
    status, lines = run(tmp_path, BACKOUT_SKIP="prometheus, node")
    assert (status, lines[-1]) == (0, "Left out: node (0 tests), prometheus (1 tests).")


@pytest.mark.slow
def test_a_mistyped_name_stops_the_run(tmp_path: Path) -> None:
    status, lines = run(tmp_path, BACKOUT_SKIP="promethius")
    assert status == 4 and "BACKOUT_SKIP names promethius; it knows: postgres" in "\n".join(lines)
