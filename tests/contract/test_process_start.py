"""Starts on bad days: a port taken, a program gone, a start that hangs, two at once."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from backout.errors import StepFailed
from backout.plan.base import Probed
from backout.platforms.process import ProcessPlatform
from backout.platforms.process.steps import specs
from backout.testing.crash import carry_out_in_child

from .machine import (
    SECRET,
    Machine,
    process_platform,
    run_step,
)

pytestmark = pytest.mark.slow


def test_a_port_that_is_taken_is_told_by_the_last_lines_without_secrets(machine: Machine) -> None:
    machine.link("v1")
    platform = process_platform(machine)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", machine.port))
        taken.listen()
        probe = run_step(platform, specs.start("v1", "v1", platform.declared()))
    text = str(probe.evidence)
    assert probe.answer is Probed.NOT_DONE
    assert "Address already in use" in text and "exit status 1" in text
    assert "secret is ***" in text and SECRET not in text
    assert machine.processes() == []


def test_a_start_that_hangs_stays_in_progress(machine: Machine) -> None:
    machine.env(HANG="1")
    platform = process_platform(machine, start_timeout_s=1)
    probe = run_step(platform, specs.start("v1", "v1", platform.declared()))
    assert probe.answer is Probed.PARTIAL and probe.in_progress
    assert "is not ready" in str(probe.evidence) and "secret is ***" in str(probe.evidence)


def test_a_program_that_is_not_there_is_named(machine: Machine) -> None:
    platform = process_platform(machine, start="./bin/no-such-program --flag")
    probe = run_step(platform, specs.start("v1", "v1", platform.declared()))
    assert probe.answer is Probed.NOT_DONE
    assert "exit status 127" in str(probe.evidence) and "./bin/no-such-program: No such file" in str(
        probe.evidence
    )


def test_two_starts_at_once_make_one_process(machine: Machine) -> None:
    options = machine.options(ready_url=None)
    spec = specs.start("v1", "v1", process_platform(machine, ready_url=None).declared())
    with ThreadPoolExecutor() as pool:
        both = [
            pool.submit(carry_out_in_child, ProcessPlatform, options, machine.root, [spec]) for _ in range(2)
        ]
        assert [one.result() for one in both] == [True, True]
    assert machine.served() == ["v1"]


def test_without_a_ready_url_it_has_to_live_for_a_moment(machine: Machine) -> None:
    # No Python: on a busy machine it may need longer than that until it finds its port taken.
    platform = process_platform(machine, ready_url=None, start=["sh", "-c", "sleep 0.2; exit 1"])
    probe = run_step(platform, specs.start("v1", "v1", platform.declared()))
    assert probe.answer is Probed.NOT_DONE and "exit status 1" in str(probe.evidence)


def test_a_missing_release_is_named_and_nothing_is_started(machine: Machine) -> None:
    platform = process_platform(machine)
    with pytest.raises(StepFailed, match="releases/v9 is not there"):
        run_step(platform, specs.start("v9", "v9", platform.declared()))
    assert machine.processes() == []
