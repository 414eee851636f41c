"""The process platform keeps the contract, with real processes, also after kill -9."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from backout.errors import ConfigError, LostRace, TargetUnreachable
from backout.plan.base import Probed
from backout.platforms.process import ProcessOptions, ProcessPlatform
from backout.release import Artefact
from backout.testing.crash import carry_out_in_child
from backout.testing.platforms import PlatformContract, Stage, assert_runs, carry_out, propose
from backout.testing.records import release_of
from backout.testing.steps import acting_on

from .machine import (
    SECRET,
    Machine,
    process_platform,
    run_step,
    site,
    start_new,
)

pytestmark = pytest.mark.slow


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
    assert workload.wanted is not None and (workload.wanted.ref, workload.wanted.digest) == ("v1", None)
    assert (workload.running, workload.up) == ((Artefact(ref="v1"),), 1)


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
