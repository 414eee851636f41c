"""Brings a pinned package into a folder of its own, outside the repository, by the registry's ordinary client."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

_LIMIT_S = 1800
_CLIENT = "pg@8.16.3"


def cache() -> Path:
    """Return where packages are kept: BACKOUT_CORPUS, else below the user's cache."""
    told = os.environ.get("BACKOUT_CORPUS")
    return (
        Path(told)
        if told
        else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "backout-corpus"
    )


def from_pypi(
    package: str, version: str, more: tuple[str, ...] = (), *, extras: str = "", alone: bool = False
) -> Path:
    """Install a package with what it needs; return its interpreter. Idempotent.

    Args:
        package: Its name.
        version: Pinned.
        more: Requirements besides.
        extras: Of the package: `[server]`.
        alone: Without what it says that it needs: `more` is enough for its migrations.
    """
    folder = cache() / f"{package}-{version}"
    interpreter = folder / "venv/bin/python"
    if (folder / ".made").exists():
        return interpreter
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    uv = _uv()
    _run([uv, "venv", "--python", sys.executable, folder / "venv"])
    pip: list[str | Path] = [uv, "pip", "install", "--no-config", "--python", interpreter]
    ours = ["psycopg2-binary", *more]
    if alone:
        _run([*pip, "--no-deps", f"{package}=={version}"])
        _run([*pip, *ours])
    else:
        _run([*pip, f"{package}{extras}=={version}", *ours])
    (folder / ".made").touch()
    return interpreter


def from_npm(package: str, version: str) -> Path:
    """Unpack a package, without what it needs; return its folder. Idempotent."""
    folder = cache() / f"{package.replace('@', '').replace('/', '+')}-{version}"
    if not (folder / ".made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _run(["npm", "--silent", "pack", f"{package}@{version}"], folder)
        (file,) = folder.glob("*.tgz")
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
        file.unlink()
        (folder / ".made").touch()
    return folder / "package"


def client_of_node() -> Path:
    """Return the folder of the client library `pg` for Node. Idempotent."""
    folder = cache() / _CLIENT
    if not (folder / "node_modules/pg/package.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _run(["npm", "--silent", "install", "--ignore-scripts", "--prefix", folder, _CLIENT], folder)
    return folder / "node_modules/pg"


def _uv() -> Path:
    found = shutil.which("uv")
    if found:
        return Path(found)
    tools = cache() / "tools"
    if not (tools / "bin/uv").exists():
        _run([sys.executable, "-m", "venv", tools])
        _run([tools / "bin/pip", "--quiet", "install", "uv"])
    return tools / "bin/uv"


def _run(argv: list[str | Path], folder: Path | None = None) -> None:
    env = {**os.environ, "UV_SYSTEM_CERTS": os.environ.get("UV_SYSTEM_CERTS", "1")}
    done = subprocess.run(
        argv, cwd=folder, env=env, capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}\n{done.stdout}{done.stderr}"[-3000:])
