"""A real node, and in a namespace of its own the demo's service as pods; backout acts with the documented Role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backout.demo.children import Children
from backout.demo.postgres import EmbeddedPostgres
from testbed import collector
from testbed.node import Node
from testbed.versions import GATEWAY

from .service import IMAGES, VERSIONS, KubeService


@pytest.fixture(scope="session")
def node(require_service: Callable[[str], None]) -> Iterator[Node]:
    require_service("kubernetes")
    made = Node.up()
    for version in VERSIONS:
        image = collector.image(made.home, version)
        made.load(image)
        IMAGES[version] = image.by_digest
    yield made
    made.down(unless_used=True)


@pytest.fixture(scope="session")
def database(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("postgres")
    children = Children(folder / "run")
    server = EmbeddedPostgres(folder, children, fsync=False, inside=f"{GATEWAY}/16")
    server.start()
    yield server
    server.close()
    children.close()


@pytest.fixture(scope="module")
def service(
    node: Node, database: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KubeService]:
    """1.0.0 was deployed, then 2.0.0."""
    made = KubeService(node, database, tmp_path_factory.mktemp("kube"))
    yield made
    made.close()


@pytest.fixture
def fresh(node: Node, database: EmbeddedPostgres, tmp_path: Path) -> Iterator[KubeService]:
    """The same in a namespace of the test's own, for tests that leave something behind."""
    made = KubeService(node, database, tmp_path)
    yield made
    made.close()
