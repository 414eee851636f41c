"""Images of the demo's service `collector`: any number of versions, each a few kilobytes on one common layer."""

from __future__ import annotations

import tempfile
from pathlib import Path

from backout.demo.releases import GOOD, write_release
from testbed.home import SOURCE, Home
from testbed.images import Image, Layer
from testbed.python_layer import environment, interpreter, python_layer

NAME = "docker.io/library/collector"
MANIFEST = SOURCE / "manifests" / "collector.yaml"


def image(home: Home, version: str, *, release: str = GOOD, tag: str | None = None) -> Image:
    """Return an image of the service.

    Args:
        home: Keeps the common layer.
        version: What the service says its version is.
        release: Whose code it is: `backout.demo.releases.GOOD` or `BAD`.
        tag: Of the image, if it is not to be the version.
    """
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app"
        write_release(release, app)
        for file in (app / "VERSION", app / "collector" / "VERSION"):
            file.write_text(f"{version}\n")
        code = Layer.of({f"app/{file.relative_to(app)}": file for file in app.rglob("*") if file.is_file()})
    config = {
        "Cmd": [interpreter(), "-m", "collector"],
        "Env": [*environment(), "HOST=0.0.0.0", "PORT=8080"],
        "WorkingDir": "/app",
        "User": "65534:65534",
        "ExposedPorts": {"8080/tcp": {}},
    }
    return Image(
        f"{NAME}:{tag or version}", [python_layer(home, ["psycopg", "psycopg-binary"]), code], config
    )
