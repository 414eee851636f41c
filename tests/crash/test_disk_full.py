"""The disk of the journal fills up in the middle of a run: it stops, says so, and goes on when there is room."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .suite import CODE, RUN, Crash, Rounds, Sample, ended

pytestmark = [pytest.mark.slow, pytest.mark.crash]

FULL_AT = (
    "journal.run.created.before", "journal.step.begun.before:2", "journal.release.quarantined.before",
    "journal.step.confirmed.before:3", "journal.step.applied.before:4", "journal.step.begun.before:5",
    "journal.step.applied.before:6", "journal.step.confirmed.before:7", "journal.release.recorded.before",
    "journal.run.finished.before",
)  # fmt: skip
SIZE_BYTES = 2_000_000


@pytest.fixture
def disk(shared_stage: Crash, tmp_path: Path, require_service: Callable[[str], None]) -> Iterator[Path]:
    """A small disk of its own for the state file; the configuration says so while the test runs."""
    require_service("tmpfs")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(tmp_path)], check=True)
    config = shared_stage.stage.config
    text = config.read_text()
    try:
        config.write_text(f"{text}\nstate: {tmp_path}/state\n")
        yield tmp_path
    finally:
        config.write_text(text)
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_disk_full(
    crash: Crash,
    disk: Path,
    uninterrupted: tuple[list[str], dict[str, Any]],
    sample: Sample,
    say: Callable[[str], None],
) -> None:
    rounds = Rounds(crash, "disk full, then freed and resumed", say)
    for point in sample(FULL_AT, 3):
        crash.reset()
        shutil.rmtree(disk / "state", ignore_errors=True)
        shutil.copytree(crash.stage.directory / "snapshot" / CODE / "0", disk / "state")
        since = crash.mark()
        process = crash.frozen(*RUN, at=point)
        _fill(disk)
        os.kill(process.pid, signal.SIGCONT)
        stopped = ended(process)
        during = crash.command("resume")
        (disk / "ballast").unlink()
        back = crash.go_on()
        troubles = [] if stopped.code == 5 and "df -h" in stopped.err else [f"left as {stopped}"]
        # Where the run was not yet in the journal there is none to resume (2); else the disk is named again.
        troubles += [] if during.code == 2 or "df -h" in during.err else [f"on the full disk: {during}"]
        troubles += [] if back.code == 0 else [f"did not go on: {back}"]
        failed = crash.saw(rounds.claim, since)
        troubles += [f"{failed} requests failed"] if failed else []
        rounds.tell(point, troubles + crash.differences(uninterrupted[1]) + crash.journal_troubles())
    rounds.close()


def _fill(disk: Path) -> None:
    with (disk / "ballast").open("wb", buffering=0) as out:
        for size in (65536, 4096, 1):
            try:
                while True:
                    out.write(b"x" * size)
            except OSError:
                continue
