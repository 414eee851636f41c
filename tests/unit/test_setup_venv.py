"""`make setup PYTHON=…` has .venv with that interpreter, and says so where it cannot."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "setup-venv"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose .venv was made with a Python 3.12.1, and is complete."""
    made = tmp_path / "clone"
    (made / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPT, made / "scripts")
    for name in ("requirements.lock", "pyproject.toml"):
        (made / name).touch()
    interpreter(made / ".venv" / "bin" / "python", "3.12.1")
    interpreter(made / ".venv" / "bin" / "backout", "0")
    files = ["requirements.lock", "pyproject.toml", "scripts/setup-venv"]
    sums = subprocess.run(["cksum", *files], cwd=made, capture_output=True, text=True, check=True)
    (made / ".venv" / ".set-up-dev").write_text(f"{made}\n{sums.stdout}")
    return made


def interpreter(path: Path, version: str, *, new_enough: bool = True) -> Path:
    """Write what answers as a Python does, and makes no virtual environment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    asked = f'case "$*" in *version_info*) exit {int(not new_enough)};; esac'
    path.write_text(
        f'#!/bin/sh\n[ "$1" != -V ] || echo "Python {version}"\n[ "$1" != -m ] || exit 1\n{asked}\n'
    )
    path.chmod(0o755)
    return path


def setup(clone: Path, python: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        [clone / "scripts" / "setup-venv", "dev"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(clone), "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def test_one_that_is_as_asked_for_is_kept(clone: Path, tmp_path: Path) -> None:
    assert setup(clone, "") == (0, "")
    assert setup(clone, interpreter(tmp_path / "python3.12", "3.12.1")) == (0, "")


def test_one_of_another_version_is_made_anew(clone: Path, tmp_path: Path) -> None:
    code, told = setup(clone, interpreter(tmp_path / "python3.13", "3.13.0"))
    assert code == 3
    assert "Setting up .venv for dev with Python 3.13.0" in told
    assert "the virtual environment was not made: see above" in told
    assert not (clone / ".venv" / ".set-up-dev").exists(), "the next one must not take it for complete"


@pytest.mark.parametrize("old", [True, False])
def test_one_that_cannot_be_had_is_named_and_nothing_is_touched(
    clone: Path, tmp_path: Path, old: bool
) -> None:
    python = tmp_path / "python3"
    if old:
        interpreter(python, "3.9.18", new_enough=False)
    code, told = setup(clone, python)
    found = "Python 3.9.18" if old else "none that runs"
    assert code == 3
    assert told == (
        f"backout: needs Python 3.11 or newer, and PYTHON={python} is {found}; "
        "type: make setup PYTHON=   # chooses one\n"
    )
    assert setup(clone, "") == (0, "")
