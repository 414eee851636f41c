"""Which process is the service: a pid, a folder or an answer alone proves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backout.errors import StepFailed, TargetUnreachable
from backout.plan.base import Probed
from backout.platforms.process.steps import specs
from backout.testing.steps import wait_until

from .machine import (
    SERVER,
    Machine,
    process_platform,
    run_step,
    start_new,
)

pytestmark = pytest.mark.slow


def test_a_foreign_process_in_the_pid_file_is_never_touched(machine: Machine, tmp_path: Path) -> None:
    platform, steps = start_new(machine)
    foreign = subprocess.Popen(["sleep", "300"], cwd=tmp_path)
    try:
        (machine.root / "shared/pids/web.pid").write_text(f"{foreign.pid}\n")
        assert [a.ref for a in platform.observe(5).running] == ["v2"], "the lock still tells"
        for number, spec in enumerate(steps):
            assert run_step(platform, spec, f"run/{number}").answer is Probed.DONE
        assert machine.served() == ["v1"]
        machine.end_all()
        (machine.root / "shared/pids/web.pid").write_text(f"{foreign.pid}\n")
        assert platform.observe(5).running == ()
        assert run_step(platform, specs.stop("v1", "v1", platform.declared())).answer is Probed.DONE
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


def test_a_reused_pid_is_not_ours(machine: Machine, tmp_path: Path) -> None:
    platform = process_platform(machine)
    foreign = subprocess.Popen(["sleep", "300"], cwd=tmp_path)
    try:
        pid_file = machine.root / "shared/pids/web.pid"
        pid_file.parent.mkdir()
        pid_file.write_text(f"{foreign.pid}\n")
        os.utime(pid_file, (time.time() - 3600, time.time() - 3600))
        assert platform.observe(5).running == ()
    finally:
        foreign.kill()
        foreign.wait()


def test_a_process_of_a_release_that_is_younger_than_its_pid_file_cannot_be_told(machine: Machine) -> None:
    platform = process_platform(machine)
    pid = machine.start_by_hand("v2")
    pid_file = machine.root / "shared/pids/web.pid"
    assert [a.ref for a in platform.observe(5).running] == ["v2"]
    os.utime(pid_file, (time.time() - 3600, time.time() - 3600))
    spec = specs.start("v1", "v1", platform.declared())
    for look in (lambda: platform.observe(5), lambda: run_step(platform, spec)):
        with pytest.raises(TargetUnreachable, match=f"Process {pid} works in release v2") as caught:
            look()
        assert f"touch {pid_file}" in caught.value.next_command
    assert machine.served() == ["v2"]
    pid_file.touch()
    assert [a.ref for a in platform.observe(5).running] == ["v2"]


def test_what_answers_and_is_not_known_is_not_nothing(machine: Machine) -> None:
    platform = process_platform(machine)
    machine.start_by_hand("v2")
    pid_file = machine.root / "shared/pids/web.pid"
    pid = pid_file.read_text()
    pid_file.unlink()
    with pytest.raises(TargetUnreachable, match="not from a process that backout knows") as caught:
        platform.observe(5)
    assert "ss -ltnp" in caught.value.next_command and str(pid_file) in caught.value.next_command
    with pytest.raises(StepFailed, match="answers although nothing runs that backout knows") as failed:
        run_step(platform, specs.start("v2", "v2", platform.declared()))
    assert "ss -ltnp" in failed.value.next_command
    assert machine.served() == ["v2"]
    pid_file.write_text(pid)
    assert [a.ref for a in platform.observe(5).running] == ["v2"]


def test_somebody_elses_answer_on_the_port_is_not_taken_for_ours(machine: Machine) -> None:
    (machine.root.parent / "elsewhere").mkdir()
    env = {**os.environ, "PORT": str(machine.port)}
    other = subprocess.Popen([sys.executable, "-c", SERVER], cwd=machine.root.parent / "elsewhere", env=env,
                             stdout=subprocess.DEVNULL)  # fmt: skip
    try:
        wait_until(machine.answers)
        platform = process_platform(machine)
        with pytest.raises(StepFailed, match="answers although nothing runs that backout knows"):
            run_step(platform, specs.start("v1", "v1", platform.declared()))
        assert machine.processes() == []
    finally:
        other.kill()
        other.wait()
