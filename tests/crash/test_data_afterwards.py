"""Kill -9 in what comes after a swap: the service that has to be restarted, and rows that are brought over."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from .data import Story, Whole, gone_on, rows_since, went_back
from .suite import Crash, Rounds, Sample

pytestmark = [pytest.mark.slow, pytest.mark.crash]

Say = Callable[[str], None]
RESTARTING = (
    "reconnect.restart.before:1", "process.stop.after", "reconnect.restart.after:1", "process.start.before",
    "process.start.after", "reconnect.restart.after:2",
)  # fmt: skip
BRINGING = ("data.bring.commit.before", "data.bring.commit.after")


def test_restart_of_a_service_that_does_not_reconnect(
    crash: Crash, stories: dict[str, Story], whole: Callable[[str], Whole], sample: Sample, say: Say
) -> None:
    # Requests wait while it restarts, some for longer than clients do: a figure, and no failure of the way back.
    story, wanted = stories["data"], whole("data").picture
    rounds = Rounds(crash, "killed while the service is restarted after the swap, resumed", say)
    for point in sample(RESTARTING, 2):
        crash.reset("data")
        with _not_ready_until_restarted(crash):
            since = crash.mark()
            died = crash.command(*story.words, fault=point)
            troubles = [] if died.killed else [f"was not killed: {died}"]
            back = gone_on(crash, story)
            troubles += went_back(crash, story, back, wanted, rounds, since, may_fail=True)
        rounds.tell(point, troubles)
    rounds.close()


def test_bringing_rows(
    crash: Crash, stories: dict[str, Story], whole: Callable[[str], Whole], say: Say
) -> None:
    story = stories["data"]
    assert whole("data").points
    rounds = Rounds(crash, "data bring killed at its commit, typed again", say)
    for point in BRINGING:
        crash.reset("data")
        crash.must(*story.words)
        (kept,) = crash.stage.kept_urls()
        since = rows_since(kept, story.taken_at)
        assert since, "nothing was written since the backup"
        words = (
            "data",
            "bring",
            "public.reports",
            "--where",
            f"received_at > '{story.taken_at.isoformat()}'",
            "--yes",
        )
        died = crash.command(*words, fault=point)
        troubles = [] if died.killed else [f"was not killed: {died}"]
        there = since & rows_since(crash.stage.database_url, story.taken_at)
        wanted = since if point.endswith("after") else set()
        troubles += (
            [] if there == wanted else [f"{len(there)} of {len(since)} rows are there, not {len(wanted)}"]
        )
        again = crash.command(*words)
        troubles += [] if again.code == 0 else [f"typed again: {again}"]
        there = since & rows_since(crash.stage.database_url, story.taken_at)
        troubles += [] if there == since else [f"{len(since - there)} rows did not come"]
        rounds.tell(point, troubles + crash.journal_troubles())
    rounds.close()


@contextmanager
def _not_ready_until_restarted(crash: Crash) -> Iterator[None]:
    """Let the ready URL say no until another process serves than the one that serves now; then what the service's own says."""
    pid_file, config = crash.stage.pid_file, crash.stage.config
    first, before = pid_file.read_text(), config.read_text()
    found = re.search(r"(?m)^  ready_url: (.*)$", before)
    assert found
    own = found[1].strip('"')

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            other = pid_file.exists() and pid_file.read_text() != first
            self.send_response(200 if other and _answers(own) else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ready)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        text = re.sub(
            r"(?m)^  ready_url: .*$", f"  ready_url: http://127.0.0.1:{server.server_port}/", before
        )
        text = text.replace("restore:\n", "restore:\n  reconnect_s: 0.3\n", 1)
        assert "reconnect_s" in text and text != before
        config.write_text(text)
        yield
    finally:
        config.write_text(before)
        server.shutdown()
        server.server_close()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=1, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False
