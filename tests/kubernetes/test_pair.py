"""A service of several workloads: they go back together, in the declared order, to what ran together."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from backout.embedded.server import EmbeddedPostgres
from testbed.node import Node

from .kinds import PairService

pytestmark = pytest.mark.slow


@pytest.fixture
def pair(node: Node, database: EmbeddedPostgres, tmp_path: Path) -> Iterator[PairService]:
    made = PairService(node, database, tmp_path)
    yield made
    made.close()


def test_they_go_back_in_order_to_what_the_record_says_and_an_abort_half_way_undoes(
    pair: PairService,
) -> None:
    """Only the records tell which of the worker's templates belongs to which release: its versions are its own."""
    cli = pair.configure()
    for versions, state in ((("1.0.0", "batch-7"), "good"), (("2.0.0", "batch-8"), "unknown")):
        pair.set_versions(*versions)
        pair.rolled_out()
        cli("record", "--state", state, "--no-checks").ended(0)
    killed = cli("run", "--yes", env={"BACKOUT_FAULT": "kubernetes.template.before:2"})
    assert killed.code == -signal.SIGKILL, killed.everything
    assert pair.versions() == ("1.0.0", "batch-8"), "what answers requests is the first"
    cli("abort", "--yes").ended(0)
    assert pair.versions() == ("2.0.0", "batch-8") and pair.served() == ["2.0.0"]
    cli("run", "--to", "1.0.0", "--yes").ended(0)
    assert pair.versions() == ("1.0.0", "batch-7") and pair.served() == ["1.0.0"]
