"""The service on the node for those that need just one: a bench, a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from backout.children import Children
from backout.embedded.server import EmbeddedPostgres
from testbed import collector
from testbed.node import Node
from testbed.versions import GATEWAY

from .service import IMAGES, VERSIONS, KubeService

_uses: list[Node] = []


@contextmanager
def node_in_use(*, alone: bool = False) -> Iterator[Node]:
    """Have the node, with an image of each version; the last of this process that uses it stops it."""
    node = Node.up(alone=alone)
    _uses.append(node)
    try:
        for version in VERSIONS:
            image = collector.image(node.home, version)
            node.load(image)
            IMAGES[version] = image.by_digest
        yield node
    finally:
        _uses.pop()
        if not _uses:
            node.down(unless_used=True)
            node.release()


@contextmanager
def database_for_pods(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Run a PostgreSQL that pods reach."""
    with ExitStack() as ending:
        children = Children(folder / "run")
        ending.callback(children.close)
        server = EmbeddedPostgres(folder, children, fsync=False, inside=f"{GATEWAY}/16")
        server.start()
        ending.callback(server.close)
        yield server


@contextmanager
def service_on_the_node(folder: Path, *, replicas: int = 1) -> Iterator[KubeService]:
    """Run the service in a namespace of its own, with a database of its own."""
    with ExitStack() as ending:
        node = ending.enter_context(node_in_use())
        database = ending.enter_context(database_for_pods(folder))
        service = KubeService(node, database, folder, replicas=replicas)
        ending.callback(service.close)
        yield service
