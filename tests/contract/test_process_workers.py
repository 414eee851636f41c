"""What a release started beside its main process ends with it, or is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from backout.errors import LostRace, StepFailed
from backout.launch import exit_status, holder
from backout.plan.base import Probed
from backout.platforms.process import ProcessPlatform
from backout.platforms.process.steps import specs
from backout.testing.crash import carry_out_in_child
from backout.testing.platforms import Stage, propose
from backout.testing.steps import wait_until

from .machine import (
    STUBBORN_WORKER,
    WORKER,
    Machine,
    process_platform,
    run_step,
)

pytestmark = pytest.mark.slow


def test_what_a_script_started_beside_the_server_ends_too(machine: Machine) -> None:
    platform = process_platform(machine)
    machine.start_by_script("v2")
    shell = subprocess.Popen(["sleep", "300"], cwd=machine.root / "releases/v2")
    try:
        assert platform.observe(5).up == 1
        assert run_step(platform, specs.stop("v2", "v2", platform.declared())).answer is Probed.DONE
        assert [p.pid for p in machine.processes()] == [shell.pid], "a person's shell is left alone"
        assert (machine.root / "shared/ended").read_text() == "politely", "asked, once"
        assert platform.observe(5).running == ()
    finally:
        shell.kill()
        shell.wait()


def test_a_worker_that_does_not_end_is_killed_after_the_patience(machine: Machine) -> None:
    platform = process_platform(machine, stop_timeout_s=1)
    machine.start_by_script("v2", STUBBORN_WORKER)
    began = time.monotonic()
    assert run_step(platform, specs.stop("v2", "v2", platform.declared())).answer is Probed.DONE
    assert 1.0 <= time.monotonic() - began < 5
    assert machine.processes() == []


@pytest.mark.parametrize("worker", [WORKER, STUBBORN_WORKER], ids=["polite", "stubborn"])
@pytest.mark.parametrize(
    "point",
    [*(f"process.stop.{n}{nth}" for n in ("before", "noted", "sent", "after") for nth in ("", ":2")),
     "process.kill.before", "process.kill.after"],
)  # fmt: skip
def test_a_worker_is_not_lost_by_a_kill_9(machine: Machine, point: str, worker: str) -> None:
    options = machine.options(stop_timeout_s=1)
    machine.link("v2")
    machine.start_by_script("v2", worker)
    platform = process_platform(machine, stop_timeout_s=1)
    steps = propose(Stage(platform, "v1", "v2", machine.served, {}, machine.snapshot))
    killed = worker is STUBBORN_WORKER or "kill" not in point
    assert carry_out_in_child(ProcessPlatform, options, machine.root, steps, fault=point) is not killed
    assert carry_out_in_child(ProcessPlatform, options, machine.root, steps)
    assert machine.served() == ["v1"]


def test_a_worker_that_is_left_over_keeps_every_start_away(machine: Machine) -> None:
    machine.start_by_script("v2", STUBBORN_WORKER)
    platform = process_platform(machine)
    stop = specs.stop("v2", "v2", platform.declared())
    point = "process.stop.sent"
    assert not carry_out_in_child(ProcessPlatform, machine.options(), machine.root, [stop], fault=point)
    wait_until(lambda: len(machine.processes()) == 1)
    assert [a.ref for a in platform.observe(5).running] == ["v2"]
    with pytest.raises(LostRace, match="v2 runs as process"):
        run_step(platform, specs.start("v1", "v1", platform.declared()))
    with pytest.raises(StepFailed, match="still runs") as caught:
        run_step(platform, specs.start("v2", "v2", platform.declared()))
    assert f"kill {machine.processes()[0].pid}" in caught.value.next_command
    assert len(machine.processes()) == 1


def test_a_leftover_child_keeps_a_second_copy_away(machine: Machine) -> None:
    script = machine.root / "releases/v1/fork.sh"
    script.write_text(f"#!/bin/sh\n{sys.executable} server.py &\nwait\n")
    script.chmod(0o755)
    platform = process_platform(machine, start=["./fork.sh"])
    assert run_step(platform, specs.start("v1", "v1", platform.declared())).answer is Probed.DONE
    held = holder(platform.layout.service_lock)
    assert held is not None and held.pid is not None
    os.kill(held.pid, signal.SIGKILL)
    wait_until(lambda: exit_status(held.pid or 0) is not None)
    assert [a.ref for a in platform.observe(5).running] == ["v1"]
    assert run_step(platform, specs.stop("v1", "v1", platform.declared())).answer is Probed.DONE
    assert machine.processes() == []
