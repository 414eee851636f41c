"""`make setup` says in one line what is missing; with PYTHON=… it has .venv with that interpreter."""

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
    for name in ("requirements.lock", "requirements-demo.lock", "pyproject.toml"):
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


def setup(
    clone: Path, python: str | Path, *, path: str | Path = "/usr/bin:/bin", what: str = "dev"
) -> tuple[int, str]:
    done = subprocess.run(
        [clone / "scripts" / "setup-venv", what],
        env={"PATH": str(path), "HOME": str(clone), "PYTHON": str(python)},
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


@pytest.fixture
def bare(clone: Path, tmp_path: Path) -> Path:
    """A machine with nothing but a shell's usual programs, on which nothing was set up."""
    shutil.rmtree(clone / ".venv")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("cat", "cksum", "dirname", "id", "mkdir"):
        (programs / name).symlink_to(str(shutil.which(name)))
    return programs


@pytest.mark.parametrize("old", [True, False])
def test_without_a_python_that_is_new_enough_the_remedy_is_one_line(
    clone: Path, bare: Path, old: bool
) -> None:
    if old:
        interpreter(bare / "python3", "3.9.18", new_enough=False)
    code, told = setup(clone, "", path=bare, what="demo")
    found = ", found Python 3.9.18" if old else ""
    assert (code, told) == (
        3,
        (
            f"backout: needs Python 3.11 or newer{found}; type: apt-get install python3 python3-venv "
            "(Debian 12, Ubuntu 24.04 or newer), or brew install python@3.13\n"
        ),
    )


def test_without_venv_the_remedy_is_one_line(clone: Path, bare: Path) -> None:
    # As Debian's python3 without python3-venv: it runs, and neither venv nor ensurepip can be imported.
    python = bare / "python3"
    python.write_text(
        '#!/bin/sh\ncase "$*" in *"import venv"*) exit 1;; *print*) echo python3.11-venv;; esac\n'
    )
    python.chmod(0o755)
    told = setup(clone, "", path=bare, what="demo")
    assert told == (
        3,
        "backout: python3 cannot make virtual environments; type: apt-get install python3.11-venv\n",
    )
