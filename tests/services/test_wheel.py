"""The built wheel, installed in a clean environment far from the repository, does what the README promises."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
_TIMEOUT_S = 300
_NEVER_SHIPPED = re.compile(r"(^|/)(tests?|__pycache__|\.[a-z_]+_cache|\.hypothesis|\.venv|\.cache)/|\.pyc$")


@dataclass(frozen=True)
class Built:
    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Clean:
    """An environment that holds the wheel and what it asks for, and an empty directory to work in."""

    python: Path
    directory: Path

    def run(self, *command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command],
            cwd=cwd or self.directory,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                "HOME": str(self.directory),
                "LANG": "C.UTF-8",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )

    def backout(self, *words: str, cwd: Path | None = None) -> str:
        done = self.run(self.python.with_name("backout"), *words, cwd=cwd)
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("dist")
    # The wheel is made from the sdist, so the sdist is proven to be complete too.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Built(wheel, sdist)


@pytest.fixture(scope="module")
def clean(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Clean:
    folder = tmp_path_factory.mktemp("clean")
    python, directory, pins = folder / "venv" / "bin" / "python", folder / "work", folder / "pins.txt"
    directory.mkdir()
    # Only what the wheel asks for is installed, in the versions that everything else is tested with.
    locked = (REPOSITORY / "requirements.lock").read_text()
    pins.write_text("\n".join(re.findall(r"^[\w.\[\]-]+==[^\s\\;]+", locked, re.MULTILINE)))
    wanted = ["install", "--quiet", "--only-binary", ":all:", "--constraint", str(pins), str(built.wheel)]
    if shutil.which("uv"):
        make = ["uv", "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder / "venv")]
        install = ["uv", "pip", *wanted, "--python", str(python)]
    else:
        make = [sys.executable, "-m", "venv", str(folder / "venv")]
        install = [str(python), "-m", "pip", "--disable-pip-version-check", *wanted]
    for command in (make, install):
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return Clean(python, directory)


def test_what_is_shipped(built: Built) -> None:
    in_wheel = zipfile.ZipFile(built.wheel).namelist()
    with tarfile.open(built.sdist) as sdist:
        in_sdist = [name.split("/", 1)[1] for name in sdist.getnames()]
    for name in (*in_wheel, *in_sdist):
        assert not _NEVER_SHIPPED.search(name), f"{name} does not belong into a package"
    assert [n for n in in_wheel if n.endswith("licenses/LICENSE")]
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= set(in_sdist)
    here = {
        f"backout/{path.relative_to(REPOSITORY / 'src' / 'backout').as_posix()}"
        for path in (REPOSITORY / "src" / "backout").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert here == {name for name in in_wheel if name.startswith("backout/")}
    assert {"backout/py.typed", "backout/config/example.yaml", "backout/demo/collector/VERSION"} <= here


def test_it_is_not_the_repository(clean: Clean) -> None:
    done = clean.run(clean.python, "-c", "import backout; print(backout.__file__)")
    assert done.stdout.startswith(str(clean.python.parents[1])), done.stdout + done.stderr


def test_version_help_and_library(clean: Clean) -> None:
    assert re.fullmatch(r"backout \d+\.\d+\.\d+\n", clean.backout("--version"))
    assert "releases" in clean.backout("--help")
    for verb in ("init", "plan", "run", "hold", "demo"):
        assert "Example" in clean.backout(verb, "--help")
    done = clean.run(
        clean.python, "-W", "error", "-c", "from backout import Backout; print(Backout.from_config)"
    )
    assert done.returncode == 0, done.stderr


def test_init_and_releases(clean: Clean) -> None:
    service = clean.directory / "shop"
    for version in ("1.0.0", "1.1.0"):
        (service / "releases" / version / "bin").mkdir(parents=True)
        start = service / "releases" / version / "bin" / "start"
        start.write_text("#!/bin/sh\nexec sleep 60\n")
        start.chmod(0o755)
    (service / "shared").mkdir()
    (service / "current").symlink_to("releases/1.1.0")
    clean.backout("init", cwd=service)
    assert "kind: process" in (service / "backout.yaml").read_text()
    assert "1.1.0" in clean.backout("releases", cwd=service)


def test_the_demo_holds(clean: Clean, require_service: Callable[[str], None]) -> None:
    require_service("postgres")
    done = clean.run(clean.python.with_name("backout"), "demo", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["holds"] is True, told
    assert told["way_back"]["requests_failed"] == 0 and told["way_back"]["rows_lost"] == 0
