"""Clients of the Service notice nothing of a way back, over kept and over fresh connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.waiting import until

from backout.children import Children
from backout.demo.clients import Clients
from backout.embedded.server import EmbeddedPostgres
from testbed.node import Node

from .service import KubeService

pytestmark = pytest.mark.slow

BEFORE_S = AFTER_S = 10.0
PER_S = 200
"""Requests each second that the claim is about; somewhat more are meant."""
KEPT_PER_S, FRESH_PER_S = 140, 100


@pytest.fixture
def three(node: Node, database: EmbeddedPostgres, tmp_path: Path) -> Iterator[KubeService]:
    made = KubeService(node, database, tmp_path, replicas=3)
    yield made
    made.close()


def test_no_request_fails_and_no_row_is_lost(three: KubeService, tmp_path: Path) -> None:
    cli = three.configure()
    three.recorded(cli)
    children = Children(tmp_path / "run")
    with ExitStack() as ending:
        ending.callback(children.close)
        kept = Clients(children, three.url, tmp_path / "kept", per_second=KEPT_PER_S, workers=16)
        fresh = Clients(
            children, three.url, tmp_path / "fresh", per_second=FRESH_PER_S, workers=16, fresh=True
        )
        for clients in (kept, fresh):
            ending.enter_context(clients)
            clients.mark("begin")
        until(lambda: kept.summary("begin", settle=False).seconds >= BEFORE_S)
        cli("run", "--yes").ended(0)
        kept.mark("back")
        until(lambda: kept.summary("back", settle=False).seconds >= AFTER_S)
        found = [clients.summary("begin") for clients in (kept, fresh)]
    assert [f.failures for f in found] == [{}, {}]
    assert all(set(f.answered_by) == {"1.0.0", "2.0.0"} for f in found)
    sent, seconds = sum(f.requests_sent for f in found), found[0].seconds
    assert sent / seconds >= PER_S, "the load was not the one that was meant"
    assert not kept.missing(three.database.url) and not fresh.missing(three.database.url)
