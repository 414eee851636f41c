"""The service on the node for those that need just one: a bench, a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from backout.demo.children import Children
from backout.demo.postgres import EmbeddedPostgres
from testbed import collector
from testbed.node import Node
from testbed.versions import GATEWAY

from .service import IMAGES, VERSIONS, KubeService


def node_with_images() -> Node:
    """Start the node unless it runs, with an image of each version."""
    node = Node.up()
    for version in VERSIONS:
        image = collector.image(node.home, version)
        node.load(image)
        IMAGES[version] = image.by_digest
    return node


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
        node = node_with_images()
        ending.callback(node.down, unless_used=True)
        database = ending.enter_context(database_for_pods(folder))
        service = KubeService(node, database, folder, replicas=replicas)
        ending.callback(service.close)
        yield service
