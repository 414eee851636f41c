"""Declared hold commands keep the contract of every means of holding, and their own bad days."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backout.clock import SystemClock
from backout.errors import StepFailed, UsageError
from backout.holds.command import CommandHold, HoldCommandOptions
from backout.observed import Answer
from backout.platforms.base import Site
from backout.redact import Redactor
from backout.testing.holds import check_hold

SECRET = "tok-5c1e-very-secret"


def hold_in(directory: Path, **extra: object) -> CommandHold:
    options = {
        "name": "workers",
        "hold": "touch suspended",
        "release": ["rm", "-f", "suspended"],
        "probe": "test -e suspended",
        "timeout_s": 5,
        **extra,
    }
    redactor = Redactor()
    redactor.add(SECRET)
    site = Site("web", "production", directory, dict(os.environ), SystemClock(), redactor)
    return CommandHold(HoldCommandOptions.model_validate(options), site)


def test_the_contract(tmp_path: Path) -> None:
    check_hold(hold_in(tmp_path), "suspend", snapshot=lambda: (tmp_path / "suspended").exists())


def test_what_was_suspended_before_stays_suspended(tmp_path: Path) -> None:
    (tmp_path / "suspended").touch()
    means = hold_in(tmp_path)
    prior = means.observe(5).prior
    means.hold("suspend")
    means.release(prior)
    assert means.observe(5).held is Answer.YES
    assert means.by_hand(None, prior) == means.by_hand("suspend", {})


@pytest.mark.parametrize("probe", ["sh -c 'exit 2'", "sleep 60", "./no-such-probe"])
def test_a_probe_that_does_not_tell_is_unknown(tmp_path: Path, probe: str) -> None:
    fact = hold_in(tmp_path, probe=probe).observe(0.3)
    assert (fact.held, fact.mode, fact.prior) == (Answer.UNKNOWN, None, {})


def test_a_command_that_fails_says_the_state_and_no_secret(tmp_path: Path) -> None:
    means = hold_in(tmp_path, hold=["sh", "-c", f"echo no access with {SECRET}; exit 4"])
    with pytest.raises(StepFailed) as caught:
        means.hold("suspend")
    assert "exit status 4" in str(caught.value.what) and "no access with ***" in str(caught.value.what)
    assert "no" in str(caught.value.state) and caught.value.next_command == "test -e suspended"
    assert SECRET not in str(caught.value.what)
    assert (tmp_path / ".backout/hold-workers/log").read_text() == "no access with ***\n"


def test_a_command_that_takes_too_long_is_told_and_not_started_twice(tmp_path: Path) -> None:
    means = hold_in(tmp_path, hold=["sh", "-c", "echo x >> runs; sleep 1; touch suspended"], timeout_s=0.2)
    for _ in range(2):
        with pytest.raises(StepFailed, match=r"still runs after 0\.2 s"):
            means.hold("suspend")
    hold_in(tmp_path, hold="false").hold("suspend")  # waits for the copy that runs, and finds it held
    assert (tmp_path / "runs").read_text() == "x\n"


def test_only_suspend_is_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot queue"):
        hold_in(tmp_path).hold("queue")


@pytest.mark.parametrize("name", ["router", "database", "a/b", ""])
def test_names_that_would_be_mistaken_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        hold_in(tmp_path, name=name)


AGAIN = """
import os, sys
from pathlib import Path
from backout.clock import SystemClock
from backout.holds.command import CommandHold, HoldCommandOptions
from backout.platforms.base import Site
from backout.redact import Redactor
site = Site("web", "production", Path(sys.argv[1]), os.environ, SystemClock(), Redactor())
command = ["sh", "-c", "echo x >> runs; sleep 0.5; touch suspended"]
options = HoldCommandOptions(name="workers", hold=command, release="false", probe="test -e suspended")
CommandHold(options, site).hold("suspend")
"""


@pytest.mark.slow
@pytest.mark.parametrize("point", ["hold.command.hold.before", "hold.command.hold.after"])
def test_kill_9_never_starts_a_second_copy(tmp_path: Path, point: str) -> None:
    first = subprocess.run(
        [sys.executable, "-c", AGAIN, str(tmp_path)], env={**os.environ, "BACKOUT_FAULT": point}, check=False
    )
    assert first.returncode == -9
    subprocess.run([sys.executable, "-c", AGAIN, str(tmp_path)], check=True)
    assert (tmp_path / "runs").read_text() == "x\n" and (tmp_path / "suspended").exists()
