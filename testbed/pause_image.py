"""The image that holds a pod's namespaces."""

from __future__ import annotations

from testbed.home import Home
from testbed.images import Image, Layer
from testbed.versions import PAUSE_IMAGE


def image(home: Home) -> Image:
    """Return the image with our own `pause`."""
    layer = Layer.of({"pause": home.program("pause")})
    return Image(PAUSE_IMAGE, [layer], {"Entrypoint": ["/pause"], "User": "65534:65534"})
