"""A database for an application, and its servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.applications.servers import Servers
from tests.services.reversible import servers

VERSION = 15


@pytest.fixture
def url(tmp_path: Path, require_service: Callable[[str], None]) -> Iterator[str]:
    """Give a database of a server of its own, as its owner, who is no superuser."""
    require_service("postgres")
    with servers.server(VERSION, tmp_path) as made:
        yield made.postgres.url


@pytest.fixture
def mlflow(url: str, tmp_path: Path, require_service: Callable[[str], None]) -> Iterator[Servers]:
    require_service("mlflow")
    with closing(Servers(url, tmp_path)) as made:
        yield made
