"""A real node, and in a namespace of its own the demo's service as pods; backout acts with the documented Role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backout.embedded.server import EmbeddedPostgres
from testbed.node import Node

from .service import KubeService
from .stage import database_for_pods, node_in_use, service_on_the_node


@pytest.fixture(scope="session")
def node(require_service: Callable[[str], None]) -> Iterator[Node]:
    require_service("kubernetes")
    with node_in_use() as made:
        yield made


@pytest.fixture(scope="session")
def database(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with database_for_pods(tmp_path_factory.mktemp("postgres")) as server:
        yield server


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


@pytest.fixture
def own(require_service: Callable[[str], None], tmp_path: Path) -> Iterator[KubeService]:
    """The service with a database server of its own, for tests that swap or migrate the database."""
    require_service("kubernetes")
    with service_on_the_node(tmp_path) as made:
        yield made
