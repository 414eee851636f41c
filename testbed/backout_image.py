"""The image of backout itself, from its wheel, on this machine's Python."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from testbed.errors import TestbedFailed
from testbed.home import REPOSITORY, Home
from testbed.images import Image, Layer
from testbed.python_layer import PACKAGES, environment, interpreter, python_layer

NAME = "docker.io/library/backout"
_USER = "65534:65534"


def image(home: Home, *, tag: str) -> Image:
    """Return an image whose entry point is `backout`, with what the wheel of this repository holds.

    Args:
        home: Keeps the layer with Python and the packages that backout needs.
        tag: Of the image.
    """
    needed = [
        r.partition(";")[0] for r in importlib.metadata.requires("backout") or () if "extra ==" not in r
    ]
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(_wheel(Path(folder))) as wheel:
        files = {f"{PACKAGES}/{name}": wheel.read(name) for name in wheel.namelist()}
    config = {
        "Entrypoint": [interpreter(), "-m", "backout"],
        "Env": [*environment(), "HOME=/tmp"],
        "WorkingDir": "/",
        "User": _USER,
    }
    layers = [python_layer(home, needed), Layer.of(files)]
    return Image(f"{NAME}:{tag}", layers, config)


def _wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*command, str(REPOSITORY)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise TestbedFailed(f"No wheel was built: {done.stdout}{done.stderr}")
    (wheel,) = folder.glob("*.whl")
    return wheel
