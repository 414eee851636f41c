"""The process platform keeps the contract, with real processes; and its own bad days."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backout.errors import ConfigError, LostRace, StepFailed, TargetUnreachable
from backout.launch import exit_status, holder
from backout.plan.base import Probed
from backout.platforms.process import ProcessOptions, ProcessPlatform
from backout.platforms.process.steps import specs
from backout.release import Artefact
from backout.testing.crash import carry_out_in_child
from backout.testing.platforms import PlatformContract, Stage, assert_runs, carry_out, propose
from backout.testing.records import release_of
from backout.testing.steps import acting_on, wait_until

from .machine import (
    SECRET,
    SERVER,
    STUBBORN_WORKER,
    WORKER,
    Machine,
    process_platform,
    run_step,
    site,
    start_new,
)

pytestmark = pytest.mark.slow


# --- process ------------------------------------------------------------------------------------


def stale_pid(machine: Machine) -> None:
    machine.end_all()
    (machine.root / "shared/pids").mkdir(parents=True, exist_ok=True)
    (machine.root / "shared/pids/web.pid").write_text("999999\n")


def stopped_with_link_at(machine: Machine, ref: str | None) -> None:
    machine.end_all()
    machine.link(ref)


def by_hand(machine: Machine, ref: str) -> None:
    machine.end_all()
    machine.link(ref)
    machine.start_by_hand(ref)


class TestProcess(PlatformContract):
    @pytest.fixture
    def stage(self, machine: Machine) -> Stage:
        platform = process_platform(machine)
        half_done = {
            "link at the target, old process runs": lambda: machine.link("v1"),
            "link at the target, nothing runs": lambda: stopped_with_link_at(machine, "v1"),
            "nothing runs": machine.end_all,
            "no link, nothing runs": lambda: stopped_with_link_at(machine, None),
            "no link, old process runs": lambda: machine.link(None),
            "stale pid file": lambda: stale_pid(machine),
            "started by hand": lambda: by_hand(machine, "v2"),
            "the target was started by hand": lambda: by_hand(machine, "v1"),
            "draft of the link left": lambda: (machine.root / ".current.backout").symlink_to("nowhere"),
        }
        stage = Stage(platform, "v1", "v2", machine.served, half_done, machine.snapshot)
        carry_out(stage, propose(stage, to="v2"))
        return stage


POINTS = [
    "process.stop.before",
    "process.stop.noted",
    "process.stop.sent",
    "process.stop.after",
    "process.link.before",
    "process.link.drafted",
    "process.link.after",
    "process.start.before",
    "process.start.after",
]


@pytest.mark.parametrize("point", POINTS)
def test_kill_9_at_every_point_then_again_ends_in_the_same_state(machine: Machine, point: str) -> None:
    platform, steps = start_new(machine)
    options = machine.options()
    assert not carry_out_in_child(ProcessPlatform, options, machine.root, steps, fault=point)
    assert carry_out_in_child(ProcessPlatform, options, machine.root, steps)
    assert machine.served() == ["v1"]
    workload = platform.observe(5)
    assert (workload.wanted, workload.running, workload.up) == (Artefact(ref="v1"), (Artefact(ref="v1"),), 1)


@pytest.mark.parametrize("point", ["process.kill.before", "process.kill.after"])
def test_a_service_that_does_not_end_is_ended_also_after_kill_9(machine: Machine, point: str) -> None:
    machine.env(STUBBORN="1")
    _, steps = start_new(machine, stop_timeout_s=1)
    options = machine.options(stop_timeout_s=1)
    assert not carry_out_in_child(ProcessPlatform, options, machine.root, steps, fault=point)
    assert carry_out_in_child(ProcessPlatform, options, machine.root, steps)
    assert machine.served() == ["v1"]


def test_the_named_points_are_all_there_are(machine: Machine, tmp_path: Path) -> None:
    machine.env(STUBBORN="1")
    _, steps = start_new(machine, stop_timeout_s=1)
    log = tmp_path / "points"
    assert carry_out_in_child(
        ProcessPlatform, machine.options(stop_timeout_s=1), machine.root, steps, fault_log=log
    )
    passed = {line.partition(":")[0] for line in log.read_text().splitlines()}
    assert passed == {*POINTS, "process.kill.before", "process.kill.after"}


def test_patience_is_kept_before_kill(machine: Machine) -> None:
    machine.env(STUBBORN="1")
    platform, steps = start_new(machine, stop_timeout_s=1)
    began = time.monotonic()
    assert run_step(platform, steps[0]).answer is Probed.DONE
    assert 1.0 <= time.monotonic() - began < 5
    assert machine.processes() == []


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
    platform = process_platform(machine, ready_url=None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", machine.port))
        taken.listen()
        probe = run_step(platform, specs.start("v1", "v1", platform.declared()))
    assert probe.answer is Probed.NOT_DONE


def test_a_missing_release_is_named_and_nothing_is_started(machine: Machine) -> None:
    platform = process_platform(machine)
    with pytest.raises(StepFailed, match="releases/v9 is not there"):
        run_step(platform, specs.start("v9", "v9", platform.declared()))
    assert machine.processes() == []


def test_guards_refuse_what_somebody_else_changed(machine: Machine) -> None:
    platform, steps = start_new(machine)
    kinds, acting = platform.step_kinds(), acting_on({"platform": platform})
    stop, link, start = steps
    with pytest.raises(LostRace, match="v2 runs as process"):
        kinds[start.kind].guard(start, acting)
    (machine.root / "releases/v1/server.py").write_text("# changed since\n")
    with pytest.raises(LostRace, match="content of release v1 changed"):
        kinds[link.kind].guard(link, acting)
    (machine.root / "releases/v3").mkdir()
    machine.link("v3")
    with pytest.raises(LostRace, match="Current points to v3"):
        kinds[link.kind].guard(link, acting)
    other = acting_on({"platform": process_platform(machine, stop_signal="INT")})
    with pytest.raises(LostRace, match=r"configuration changed.*stop_signal"):
        kinds[stop.kind].guard(stop, other)
    assert machine.served() == ["v2"]


def test_an_absolute_link_stays_absolute(machine: Machine) -> None:
    (machine.root / "current").symlink_to(machine.root / "releases/v2")
    platform = process_platform(machine)
    stage = Stage(platform, "v1", "v2", machine.served, {}, machine.snapshot)
    carry_out(stage, propose(stage))
    assert (machine.root / "current").readlink() == machine.root / "releases/v1"
    assert_runs(stage, "v1")


def test_an_emergency_needs_no_configuration_and_no_secret_is_left_behind(machine: Machine) -> None:
    platform = process_platform(machine)
    platform.env()
    platform.record_store().write_record(release_of(1))
    found = ProcessPlatform.from_root(machine.root, site(Path("/")))
    assert found is not None
    assert found.declared() == platform.declared()
    assert [r.id for r in found.record_store().read_records()] == ["rel-1"]
    assert all(SECRET.encode() not in p.read_bytes() for p in (machine.root / ".backout").iterdir())


def test_an_emergency_names_what_it_cannot_find(machine: Machine) -> None:
    machine.link("v2")
    with pytest.raises(ConfigError, match="missing: start"):
        ProcessPlatform.from_root(machine.root, site(machine.root))
    (machine.root / "releases/v2/Procfile").write_text("web: python3 server.py\n")
    found = ProcessPlatform.from_root(machine.root, site(machine.root))
    assert found is not None and found.options.start == ("python3", "server.py")
    assert ProcessPlatform.from_root(machine.root / "shared", site(machine.root)) is None


def test_a_root_that_is_gone_is_not_guessed(tmp_path: Path) -> None:
    options = ProcessOptions(root=str(tmp_path / "gone"), start=("true",))
    with pytest.raises(TargetUnreachable, match="gone/releases is not there"):
        ProcessPlatform.create(options, site(tmp_path)).observe(1)


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
