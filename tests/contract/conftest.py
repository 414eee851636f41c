"""What the contract tests start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backout.embedded.server import free_port

from .machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "srv", free_port())
    yield made
    made.end_all()
