"""The command platform's parts that need no script to run."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from backout.clock import SystemClock
from backout.errors import ConfigError, LostRace, StepFailed
from backout.message import msg
from backout.observed import Answer, Workload
from backout.platforms.base import Site
from backout.platforms.command import CommandOptions, CommandPlatform
from backout.platforms.command.rebuilding import artefact_there
from backout.redact import Redactor
from backout.release import Artefact, Release
from backout.revision import Source
from backout.testing.steps import acting_on

SECRET = "tok-5c1e-very-secret"


def platform_in(directory: Path, **extra: object) -> CommandPlatform:
    site = Site("web", "production", directory, dict(os.environ), SystemClock(), Redactor())
    options = {"deploy": "./deploy.sh --to {version}", **extra}
    return CommandPlatform.create(CommandOptions.model_validate(options), site)


NOW = Workload(wanted=Artefact(ref="v2"), running=(Artefact(ref="v2"),))


def test_a_script_that_goes_one_back_is_refused() -> None:
    with pytest.raises(ValidationError, match="one back"):
        CommandOptions.model_validate({"deploy": "./deploy.sh {version}", "rollback": "./rollback.sh"})


def test_going_back_uses_rollback_and_its_inverse_deploys(tmp_path: Path) -> None:
    platform = platform_in(tmp_path, rollback=["./back.sh", "{version}"])
    (spec,) = platform.switch(NOW, Artefact(ref="v1"), from_version="v2", to_version="v1")
    kind = platform.step_kinds()[spec.kind]
    inverse = kind.inverse(spec)
    assert spec.params["command"] == ["./back.sh", "v1"]
    assert inverse is not None and inverse.params["command"] == ["./deploy.sh", "--to", "v2"]
    assert kind.by_hand(inverse) == (f"cd {tmp_path} && ./deploy.sh --to v2",)


def test_without_knowing_what_runs_there_is_no_inverse(tmp_path: Path) -> None:
    platform = platform_in(tmp_path)
    (spec,) = platform.switch(Workload(wanted=None), Artefact(ref="v1"), from_version=None, to_version="v1")
    assert platform.step_kinds()[spec.kind].inverse(spec) is None


def test_no_secret_in_the_plan(tmp_path: Path) -> None:
    platform = platform_in(
        tmp_path, deploy=["./deploy.sh", "{version}", f"--token={SECRET}"], env={"T": SECRET}
    )
    (spec,) = platform.switch(NOW, Artefact(ref="v1"), from_version="v2", to_version="v1")
    assert SECRET not in spec.model_dump_json()
    platform.step_kinds()[spec.kind].guard(spec, acting_on({"platform": platform}))


def test_a_version_that_stands_in_a_plain_variable_is_no_secret(tmp_path: Path) -> None:
    platform = platform_in(tmp_path, env={"LAST_KNOWN_GOOD": "2024.5.3", "NODE_ENV": "production"})
    (spec,) = platform.switch(NOW, Artefact(ref="2024.5.3"), from_version="v2", to_version="2024.5.3")
    journalled = spec.model_validate(platform.site.redactor.json(spec.model_dump(mode="json")))
    assert journalled == spec and spec.params["command"] == ["./deploy.sh", "--to", "2024.5.3"]


def test_a_version_that_is_a_secret_cannot_be_planned(tmp_path: Path) -> None:
    platform = platform_in(tmp_path, env={"DEPLOY_TOKEN": "2024.5.3"})
    with pytest.raises(ConfigError, match=r"written down as \*\*\*") as caught:
        platform.switch(NOW, Artefact(ref="2024.5.3"), from_version="v2", to_version="2024.5.3")
    assert "Nothing was changed" in str(caught.value.state)
    assert "platform.env" in caught.value.next_command


@pytest.mark.parametrize("cut", ["ref", "version"])
def test_a_step_whose_version_was_cut_out_starts_nothing(tmp_path: Path, cut: str) -> None:
    platform = platform_in(tmp_path, deploy=["/bin/touch", "{version}"])
    (spec,) = platform.switch(NOW, Artefact(ref="v1"), from_version="v2", to_version="v1")
    spec = spec.model_copy(update={"params": {**spec.params, cut: "***"}})
    with pytest.raises(StepFailed, match="hidden in the journal") as caught:
        platform.step_kinds()[spec.kind].apply(spec, acting_on({"platform": platform}))
    assert "No script was started" in str(caught.value.state)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_for_another_script_is_refused(tmp_path: Path) -> None:
    (spec,) = platform_in(tmp_path).switch(NOW, Artefact(ref="v1"), from_version="v2", to_version="v1")
    other = platform_in(tmp_path, deploy="./other.sh {version}")
    with pytest.raises(LostRace, match="scripts changed"):
        other.step_kinds()[spec.kind].guard(spec, acting_on({"platform": other}))


def test_history_is_a_declared_capability(tmp_path: Path) -> None:
    assert not platform_in(tmp_path).capabilities.history
    assert platform_in(tmp_path, list="echo v1").capabilities.history


def test_detection(tmp_path: Path) -> None:
    assert CommandPlatform.detect(tmp_path) is None
    (tmp_path / "deploy.sh").touch()
    (tmp_path / "rollback.sh").touch()
    found = CommandPlatform.detect(tmp_path)
    assert found is not None
    assert found.options == {
        "deploy": ["./deploy.sh", "{version}"],
        "rollback": ["./rollback.sh", "{version}"],
    }
    assert CommandOptions.model_validate(found.options).deploy == ("./deploy.sh", "{version}")


def test_doctor_says_that_no_probe_is_declared(tmp_path: Path) -> None:
    lines = {line.subject: line for line in platform_in(tmp_path).doctor()}
    assert lines["probe"].ok is False and "exit 7" in str(lines["probe"].evidence) and lines["probe"].remedy


REBUILD = {"artefact": ["test", "-e", "{version}"], "rebuild": ["./build.sh", "{version}", "{commit}"]}


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        ({"rebuild": "./build.sh {version}"}, "belong together"),
        ({"artefact": "./there.sh {version}"}, "belong together"),
        ({**REBUILD, "list": "./versions.sh"}, "take list out"),
        ({**REBUILD, "artefact": "./there.sh"}, "must contain"),
    ],
)
def test_what_does_not_go_together_is_refused(extra: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        CommandOptions.model_validate({"deploy": "./deploy.sh {version}", **extra})


def test_what_is_built_anew_and_what_is_not_are_told_apart_both_ways(tmp_path: Path) -> None:
    platform, commit = platform_in(tmp_path, rollback=["./back.sh", "{version}"], **REBUILD), "c" * 40
    old = Release(
        id="1", service="web", environment="production", version="1", deployed_at=datetime.now(UTC),
        artefact=Artefact(ref="v1"),
    )  # fmt: skip
    seen = platform.with_source(NOW, old, Source(why=msg("it is gone"), commit=commit))
    (spec,) = platform.switch(seen, Artefact(ref="v1"), from_version="2", to_version="1")
    assert (spec.kind, spec.params["command"]) == ("command.rebuild", ["./build.sh", "v1", commit])
    kinds = platform.step_kinds()
    inverse = kinds[spec.kind].inverse(spec)
    assert inverse is not None
    assert (inverse.kind, inverse.params["command"]) == ("command.switch", ["./deploy.sh", "--to", "v2"])
    assert kinds[inverse.kind].inverse(inverse) == spec
    there = platform.with_source(NOW, old, Source(why=msg("it is there")))
    (spec,) = platform.switch(there, Artefact(ref="v1"), from_version="2", to_version="1")
    assert (spec.kind, spec.params["command"]) == ("command.switch", ["./back.sh", "v1"])


@pytest.mark.parametrize(
    ("script", "answer", "why"),
    [
        ("exit 0", Answer.YES, "is there"),
        ("echo no such image >&2; exit 1", Answer.NO, "exit status 1: no such image"),
        ("exit 127", Answer.UNKNOWN, "is not known"),
        ("kill -9 $$", Answer.UNKNOWN, "exit status -9"),
        ("exec sleep 60", Answer.UNKNOWN, "no answer within"),
    ],
)
def test_an_artefact_is_there_only_if_that_was_said(
    tmp_path: Path, script: str, answer: Answer, why: str
) -> None:
    asked = {**REBUILD, "artefact": ["sh", "-c", script, "{version}"]}
    platform = platform_in(tmp_path, **asked, probe_timeout_s=0.3 if "sleep" in script else 30)
    there, told = artefact_there(platform, "v1")
    assert there is answer and why in str(told)


def test_a_secret_in_the_question_is_not_told(tmp_path: Path) -> None:
    platform = platform_in(
        tmp_path, **{**REBUILD, "artefact": ["./no", SECRET, "{version}"]}, env={"TOKEN": SECRET}
    )
    assert SECRET not in str(artefact_there(platform, "v1")[1])
