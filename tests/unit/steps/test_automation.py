"""Automation is paused and let go on by declared commands, which are really run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backout.clock import SystemClock
from backout.errors import StepFailed, UsageError
from backout.plan.base import Probed, World
from backout.plan.model import StepSpec
from backout.platforms.base import Site
from backout.platforms.kubernetes.automation import Automation, AutomationOptions, automation_of
from backout.redact import Redactor
from backout.steps.automation import Pause, Resume, pause_spec
from backout.testing.steps import acting_on, check_pure_half, drive

SPEC = pause_spec("argocd", "1", "touch paused", "rm -f paused", 5.0)


class Platform:
    """Has one automation."""

    def __init__(self, folder: Path, **options: Any) -> None:
        told = {"manager": "argocd", "pause": "touch paused", "resume": "rm -f paused"} | options
        self.options = (AutomationOptions.model_validate(told),)
        self.site = Site("shop", "production", folder, {"PATH": "/usr/bin:/bin"}, SystemClock(), Redactor())

    def automation(self, name: str) -> Automation:
        return automation_of(self.options, name, self.site)


def test_the_pure_half() -> None:
    check_pure_half(Pause(), SPEC, World(serving=frozenset({"2"})))
    check_pure_half(Resume(), Pause().inverse(SPEC), World(serving=frozenset({"2"})))
    assert Resume().inverse(Pause().inverse(SPEC)) == SPEC


def test_paused_and_let_go_on_as_its_probe_says(tmp_path: Path) -> None:
    acting = acting_on({"platform": Platform(tmp_path, probe="test -e paused")})
    assert Pause().probe(SPEC, acting).answer is Probed.NOT_DONE
    assert drive(Pause(), SPEC, acting).answer is Probed.DONE
    assert (tmp_path / "paused").exists()
    assert Pause().probe(SPEC, acting_on(acting.targets, step_name="other/step")).answer is Probed.DONE
    assert drive(Resume(), Pause().inverse(SPEC), acting).answer is Probed.DONE
    assert not (tmp_path / "paused").exists()


def test_without_a_probe_the_commands_own_end_is_believed_for_its_step_alone(tmp_path: Path) -> None:
    acting = acting_on({"platform": Platform(tmp_path)}, step_name="run/one")
    assert drive(Pause(), SPEC, acting).answer is Probed.DONE
    other = acting_on(acting.targets, step_name="run/two")
    assert Pause().probe(SPEC, other).answer is Probed.NOT_DONE


def test_a_command_that_fails_is_told_with_its_last_lines(tmp_path: Path) -> None:
    platform = Platform(tmp_path, pause=["sh", "-c", "echo no such application; exit 3"])
    probe = drive(Pause(), SPEC, acting_on({"platform": platform}))
    assert probe.answer is Probed.NOT_DONE
    assert "exit status 3; last lines:\nno such application" in str(probe.evidence)


def test_what_is_not_declared_any_more_is_an_error(tmp_path: Path) -> None:
    gone: StepSpec = SPEC.model_copy(update={"params": {**SPEC.params, "name": "flux"}})
    try:
        Pause().probe(gone, acting_on({"platform": Platform(tmp_path)}))
    except UsageError as error:
        assert "does not say how flux is paused" in str(error.what)
    else:
        raise AssertionError("no error")


def test_a_command_that_is_not_there_stops_with_the_command(tmp_path: Path) -> None:
    site = Platform(tmp_path).site
    (tmp_path / ".backout").write_text("in the way")
    try:
        Automation(Platform(tmp_path).options[0], site).start("run/one", pause=True)
    except StepFailed as error:
        assert error.next_command == "touch paused"
    else:
        raise AssertionError("no error")
