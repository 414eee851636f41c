"""`command`: the user's own smoke test."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from backout.redact import Redactor

from .support import FAIL, PASS, outcomes, subject

pytestmark = pytest.mark.slow


def test_command_passes_and_fails_by_exit_status(check: Any) -> None:
    assert outcomes(check("command", run=["true"]).run(subject(), 5)) == {"smoke": PASS}
    (failed,) = check("command", run="echo one; echo two >&2; exit 3").run(subject(), 5)
    assert (failed.outcome, str(failed.evidence)) == (FAIL, "Exit status 3: one | two")
    (absent,) = check("command", run=["/nowhere/at/all"]).run(subject(), 5)
    assert absent.outcome is FAIL
    assert "Could not be started" in str(absent.evidence)


def test_command_runs_in_the_folder_with_the_environment(check: Any, tmp_path: Path) -> None:
    assert outcomes(
        check("command", run=f'test "$PWD" = "{tmp_path}" && test -n "$PATH"').run(subject(), 5)
    ) == {"smoke": PASS}


def test_command_output_is_redacted_before_it_is_cut(check: Any) -> None:
    redactor = Redactor()
    redactor.add("hunter2-secret")
    line = "for i in $(seq 9000); do echo hunter2-secret; done; exit 1"
    (result,) = check("command", run=line).run(subject(redactor=redactor), 10)
    assert result.outcome is FAIL
    assert str(result.evidence) == "Exit status 1: " + " | ".join(["***"] * 5)


def test_command_that_hangs_is_ended_with_all_it_started(check: Any, tmp_path: Path) -> None:
    line = f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/child; echo waiting; wait; wait; sleep 60"
    started_s = time.monotonic()
    (result,) = check("command", run=line, timeout_s=30).run(subject(), 0.5)
    assert time.monotonic() - started_s < 5
    assert result.outcome is FAIL
    assert "Did not end in 0.5 s and was ended: waiting" in str(result.evidence)
    child = int((tmp_path / "child").read_text())
    ends_s = time.monotonic() + 3
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < ends_s
        time.sleep(0.02)
