"""The demo itself: what a person would type, typed for them, while clients never stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from backout.demo.clients import Clients, Summary
from backout.demo.releases import BAD, GOOD
from backout.demo.stage import Stage
from backout.errors import ExitCode, StepFailed
from backout.message import msg

MIN_REQUESTS = 500


def show(*, as_json: bool) -> ExitCode:
    """Run the demo, print what it measured, and return 0 only if all of it holds.

    Raises:
        NotPossible: No PostgreSQL can be had, or something could not be started.
    """
    narrator = _Narrator(quiet=as_json)
    with (
        _ends_by_exception(),
        tempfile.TemporaryDirectory(prefix="backout-demo-", ignore_cleanup_errors=True) as folder,
    ):
        directory = Path(folder)
        directory.chmod(0o755)
        began_s = time.monotonic()
        narrator.say("Starting a PostgreSQL, a front port, and the service `collector` …")
        with Stage(directory / "stage", fsync=False) as stage:
            narrator.say(f"  ready after {time.monotonic() - began_s:.1f} s\n")
            measured = _act(stage, narrator)
    return narrator.close(measured)


def _act(stage: Stage, narrator: _Narrator) -> dict[str, Any]:
    backout = _Typist(stage, narrator)
    narrator.say(f"── {GOOD} is deployed, clients send requests and write rows without a pause ──")
    stage.deploy(GOOD)
    with Clients(
        stage.children, stage.front_url, stage.directory / "requests.jsonl", bad_version=BAD
    ) as clients:
        clients.mark("begin")
        time.sleep(1.0)
        clients.mark("normal")
        stage.limit_p95(clients.summary("begin", "normal").p95_seconds * 1000)
        backout.type("record")
        narrator.say("\n── Somebody deploys", BAD, "──")
        stage.deploy(BAD)
        clients.mark("bad")
        backout.type("record")
        narrator.say("\n── It is 3 a.m. What now? ──")
        backout.type()
        backout.type("plan", "-o", "plan.json")
        narrator.say("\n── The way back, while clients go on ──")
        clients.mark("way back")
        code = backout.type("run", "plan.json", "--yes", "--reason", "requests fail since the release")
        clients.mark("back")
        time.sleep(1.0)
        clients.mark("end")
        bad, back, after = (
            clients.summary("bad", "way back"),
            clients.summary("way back", "back"),
            clients.summary("back", "end"),
        )
        clients.stop()
        rows = {"acknowledged": len(clients.acknowledged()), "lost": clients.rows_lost(stage.database_url)}
    narrator.say("\n── What is written down ──")
    backout.type("status", "--follow")
    reports = Path.cwd() / "backout-demo"
    reports.mkdir(exist_ok=True)
    for name in ("md", "html"):
        backout.type("report", "--format", name, "-o", str(reports / f"report.{name}"))
    backout.type("history", "--verify")
    return _measured(code, bad, back, after, rows, reports)


def _measured(
    code: int, bad: Summary, back: Summary, after: Summary, rows: dict[str, int], reports: Path
) -> dict[str, Any]:
    return {
        "exit_code_of_run": code,
        "bad_release": {
            "version": BAD,
            "seconds": round(bad.seconds, 2),
            "requests_sent": bad.requests_sent,
            "errors": bad.errors_of_bad_release,
        },
        "way_back": {
            "seconds": round(back.seconds, 2),
            "requests_sent": back.requests_sent,
            "requests_failed": back.requests_failed,
            "failures": back.failures,
            "errors_of_the_bad_release": back.errors_of_bad_release,
            "longest_request_seconds": round(back.longest_request_seconds, 3),
            "rows_acknowledged": rows["acknowledged"],
            "rows_lost": rows["lost"],
        },
        "afterwards": {
            "requests_sent": after.requests_sent,
            "requests_failed": after.requests_failed + after.errors_of_bad_release,
            "answered_by": after.answered_by,
        },
        "reports": [str(p) for p in sorted(reports.iterdir())],
    }


def _broken_promises(measured: dict[str, Any]) -> list[str]:
    back, after = measured["way_back"], measured["afterwards"]
    failed, code = back["requests_failed"] + after["requests_failed"], measured["exit_code_of_run"]
    kept = {
        f"the run did not end done and proven: exit code {code}": code == 0,
        f"fewer than {MIN_REQUESTS} requests were sent during the way back: {back['requests_sent']}": (
            back["requests_sent"] >= MIN_REQUESTS
        ),
        f"requests failed: {failed}": failed == 0,
        f"acknowledged rows were lost: {back['rows_lost']} of {back['rows_acknowledged']}": (
            back["rows_lost"] == 0 and back["rows_acknowledged"] > 0
        ),
        f"not only {GOOD} answers: {', '.join(sorted(after['answered_by'])) or 'nothing'}": (
            set(after["answered_by"]) == {GOOD}
        ),
    }
    return [what_failed for what_failed, so in kept.items() if not so]


class _Narrator:
    """Talks on stdout; with `quiet` only the figures are printed, as JSON."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet

    def say(self, *words: str) -> None:
        if not self.quiet:
            sys.stdout.write(" ".join(words) + "\n")
            sys.stdout.flush()

    def close(self, measured: dict[str, Any]) -> ExitCode:
        broken = _broken_promises(measured)
        if self.quiet:
            sys.stdout.write(json.dumps(measured | {"holds": not broken, "broken": broken}, indent=2) + "\n")
        for line in _closing_lines(measured):
            self.say(line)
        for promise in broken:
            self.say(f"  FAILED  {promise}")
        return ExitCode.PROOF_FAILED if broken else ExitCode.DONE


def _closing_lines(measured: dict[str, Any]) -> Iterator[str]:
    back, bad = measured["way_back"], measured["bad_release"]
    yield "\n── Measured ──"
    yield f"  the bad release failed {bad['errors']} of {bad['requests_sent']} requests in {bad['seconds']} s"
    yield f"  the way back took {back['seconds']} s, proof included; clients sent {back['requests_sent']} requests meanwhile"
    yield f"  failed: {back['requests_failed']}   (and {back['errors_of_the_bad_release']} more errors by the bad release, before it was gone)"
    yield f"  longest request: {back['longest_request_seconds']} s (it waited at the front port)"
    yield f"  rows acknowledged: {back['rows_acknowledged']}, lost: {back['rows_lost']}"
    yield f"  report: {', '.join(measured['reports'])}"


class _Typist:
    """Types `backout …` in the stage's directory, for everybody to see."""

    def __init__(self, stage: Stage, narrator: _Narrator) -> None:
        self._stage, self._narrator = stage, narrator

    def type(self, *words: str) -> int:
        """Run one command and return its exit code; raises `StepFailed` on a bug of backout."""
        shown = " ".join(f"'{w}'" if " " in w else w for w in ("backout", *words))
        self._narrator.say(f"\n$ {shown}")
        done = subprocess.run(
            [sys.executable, "-m", "backout", *words],
            cwd=self._stage.directory,
            env={**os.environ, **self._stage.environ()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if self._narrator.quiet else None,
            stderr=subprocess.PIPE if self._narrator.quiet else None,
            text=True,
            check=False,
        )
        if done.returncode in (ExitCode.BUG, ExitCode.USAGE):
            raise StepFailed(
                msg(
                    "{command} ended with exit code {code}. {words}",
                    command=shown,
                    code=done.returncode,
                    words=(done.stderr or "")[-500:],
                ),
                state=msg("The demo is over; everything it started was ended."),
                next_command="backout demo",
            )
        return done.returncode


@contextmanager
def _ends_by_exception() -> Iterator[None]:
    """Make TERM and HUP unwind like Ctrl-C does, so that nothing is left running."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
