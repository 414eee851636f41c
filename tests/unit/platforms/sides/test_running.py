"""Sides that are started and stopped by declared commands, which are really run."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.sides import sides
from tests.unit.platforms.sides.test_look import Divided

from backout.clock import SystemClock
from backout.errors import LostRace
from backout.observed import Workload
from backout.plan.base import Probed, World
from backout.platforms.base import Site
from backout.platforms.sides import SidesOptions, SidesPlatform
from backout.platforms.sides.options import SideOptions
from backout.redact import Redactor
from backout.release import Artefact
from backout.testing.steps import acting_on, check_pure_half, drive

V1, V2 = Artefact(ref="v1"), Artefact(ref="v2")


@pytest.fixture
def stand(tmp_path):
    """v1 on blue gets all requests; v2 on green can be started and stopped."""
    with sides("blue", "green") as running:
        running["blue"].version, running["green"].version = "v1", "v2"
        running["green"].off = tmp_path / "green-off"
        yield running, made(running, tmp_path)


def made(running, folder: Path, **green: object) -> SidesPlatform:
    off = shlex.quote(str(folder / "green-off"))
    told: dict[str, dict[str, object]] = {
        name: {"version_url": f"http://127.0.0.1:{one.port}/version"} for name, one in running.items()
    }
    told["green"] |= {
        "start": f"sh -c 'rm -f {off}'",
        "stop": f"sh -c 'echo stopping >>stops; touch {off}'",
        "installed": "echo v2",
    } | green
    site = Site("shop", "test", folder, {"PATH": "/usr/bin:/bin"}, SystemClock(), Redactor())
    options = {"sides": told, "timeout_s": 2, "command_timeout_s": 5, "ready_timeout_s": 1}
    platform = SidesPlatform.create(SidesOptions.model_validate(options), site)
    platform.behind(Divided({"blue": 100, "green": 0}))
    return platform


def kinds(steps) -> list[str]:
    return [one.kind for one in steps]


def test_what_runs_besides_is_stopped_and_started_again_when_that_is_undone(stand, tmp_path):
    _, platform = stand
    (stop,) = platform.left_running(platform.observe(5), V1).stop
    kind = platform.step_kinds()[stop.kind]
    check_pure_half(kind, stop, World(serving=frozenset({"v1"}), workers=frozenset({"v2"})))
    assert kind.effect(stop, World(serving=frozenset({"v1"}), workers=frozenset({"v2"})))[-1].acting == {"v1"}
    assert drive(kind, stop, acting_on({"platform": platform})).answer is Probed.DONE
    seen = platform.observe(5)
    assert (seen.detail["versions"], seen.detail["installed"]) == (
        {"blue": "v1", "green": None},
        {"green": "v2"},
    )
    assert platform.artefacts(5) == (V1, V2) and platform.identify("v2") == V2
    assert [str(one.evidence) for one in platform.doctor()][1] == "It is stopped; started it would run v2."
    start = kind.inverse(stop)
    assert start is not None
    assert (
        drive(platform.step_kinds()[start.kind], start, acting_on({"platform": platform})).answer
        is Probed.DONE
    )
    assert platform.observe(5).detail["versions"] == {"blue": "v1", "green": "v2"}


def test_a_side_that_is_silent_already_is_stopped_all_the_same(stand, tmp_path):
    """Its workers may run."""
    _, platform = stand
    (stop,) = platform.left_running(platform.observe(5), V1).stop
    (tmp_path / "green-off").touch()
    kind = platform.step_kinds()[stop.kind]
    assert kind.probe(stop, acting_on({"platform": platform})).answer is Probed.NOT_DONE
    assert drive(kind, stop, acting_on({"platform": platform})).answer is Probed.DONE
    assert (tmp_path / "stops").read_text() == "stopping\n"


def test_a_side_that_gets_requests_is_not_stopped(stand):
    _, platform = stand
    (stop,) = platform.left_running(platform.observe(5), V1).stop
    platform.router.shift({"blue": 95, "green": 5})
    with pytest.raises(LostRace, match="Side green gets requests: 5 %"):
        platform.step_kinds()[stop.kind].guard(stop, acting_on({"platform": platform}))


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("sh -c 'echo no such unit; exit 5'", "ended with exit status 5; last lines:\nno such unit"),
        ("true", "still answers"),
    ],
)
def test_a_side_that_does_not_stop_is_told(stand, tmp_path, command, told):
    running, _ = stand
    platform = made(running, tmp_path, stop=command)
    (stop,) = platform.left_running(platform.observe(5), V1).stop
    kind, acting = platform.step_kinds()[stop.kind], acting_on({"platform": platform})
    kind.apply(stop, acting)
    probe = kind.probe(stop, acting)
    while probe.evidence.template.startswith("The command"):
        probe = kind.probe(stop, acting)
    assert probe.answer is not Probed.DONE and told in str(probe.evidence)


def test_the_wanted_side_is_started_before_it_gets_a_request(stand, tmp_path):
    _, platform = stand
    (tmp_path / "green-off").touch()
    steps = platform.switch(platform.observe(5), V2, from_version="v1", to_version="2")
    assert kinds(steps) == ["sides.start", "sides.ready", "sides.shift", "sides.drain"]
    kind = platform.step_kinds()["sides.start"]
    assert str(kind.describe(steps[0])) == "Start side green with 2."
    assert kind.by_hand(steps[0])[0].startswith("sh -c 'rm -f")
    assert drive(kind, steps[0], acting_on({"platform": platform})).answer is Probed.DONE


def test_a_side_that_came_up_with_another_version_gets_none(stand, tmp_path):
    running, platform = stand
    (tmp_path / "green-off").touch()
    (start, *_) = platform.switch(platform.observe(5), V2, from_version="v1", to_version="v2")
    (tmp_path / "green-off").unlink()
    running["green"].version = "v3"
    with pytest.raises(LostRace, match="Side green runs v3, and not v2"):
        platform.step_kinds()[start.kind].guard(start, acting_on({"platform": platform}))


def test_a_running_side_goes_before_one_that_has_to_be_started(stand):
    _, platform = stand
    detail = {
        "shares": {"blue": 100, "green": 0},
        "versions": {"blue": "v1", "green": None},
        "ready": [],
        "installed": {"green": "v1"},
    }
    steps = platform.switch(Workload(wanted=V1, detail=detail), V1, from_version="v1", to_version="v1")
    assert kinds(steps)[0] == "sides.ready" and steps[0].params["side"] == "blue"


def test_what_has_no_command_is_told():
    with sides("blue", "green") as running:
        running["blue"].version, running["green"].version = "v1", "v2"
        platform = made(running, Path(), start=None, stop=None, installed=None)
        left = platform.left_running(platform.observe(5), V1)
    assert (left.stop, left.stays) == ((), ("green (v2)",))


def test_the_three_commands_belong_together():
    with pytest.raises(ValidationError, match="belong together"):
        SideOptions.model_validate({"version_url": "http://x/v", "stop": "systemctl stop shop"})
