"""A configuration that is named: before the verb or after it, and in every command that is told."""

from __future__ import annotations

import re
import shlex

import pytest

from backout.demo.releases import BAD, GOOD

pytestmark = pytest.mark.slow


@pytest.fixture
def other(looks, tmp_path):
    """Another environment of the same service, in a folder whose name has to be quoted."""
    folder = tmp_path / "the other one"
    folder.mkdir()
    text = looks.stage.config.read_text().replace("environment: production", "environment: staging")
    assert "environment: staging" in text
    (folder / "backout.yaml").write_text(text)
    return folder / "backout.yaml"


def test_a_configuration_before_the_verb_is_the_one_that_is_used(looks, other):
    for words in (("--config", other, "hold"), ("hold", "--config", other)):
        looks.cli(*words).refused(
            4,
            what="Nobody can be asked here: collector in staging stops",
            now="Nothing was changed",
            next=rf"^backout --config {re.escape(shlex.quote(str(other)))} hold --yes$",
        )
    assert "error" in looks.cli("--json", "--config", other, "status", "run-nowhere").ended(2).json


def test_a_verb_that_reads_no_configuration_says_so(looks, other):
    done = looks.cli("--config", other, "init", other.parent)
    assert done.code == 2
    assert "init reads no configuration" in done.err


def test_every_command_that_is_told_names_it(looks, tmp_path):
    """From another folder, what is told can be typed as it stands."""
    quoted = shlex.quote(str(looks.stage.config))
    named = f"backout --config {quoted}"

    def said(*words, code=0):
        return looks.cli(*words, "--config", looks.stage.config, cwd=tmp_path).ended(code)

    assert f"→ {named} run --to {GOOD}" in said().out
    assert said("--json").json["next_command"] == f"{named} run --to {GOOD}"
    assert f"next   {named} run plan.json" in said("plan", "-o", "plan.json").out
    assert said("run", code=4).error["next"] == f"{named} run --to {GOOD} --yes"
    assert said("hold", code=4).error["next"] == f"{named} hold --yes"
    assert said("run", "--json", code=4).json["error"]["next_command"] == f"{named} run --to {GOOD} --yes"
    plan_json = said("plan", "--json").out
    assert str(looks.stage.config) not in plan_json, "a document is for anybody"
    assert "--config" not in said("plan", "--format", "md").out


def test_what_is_told_after_a_run_can_be_typed(scene, tmp_path):
    named = f"backout --config {shlex.quote(str(scene.stage.config))}"

    def said(*words):
        return scene.cli(*words, cwd=tmp_path)

    done = said("--config", scene.stage.config, "hold", "--yes").ended(0)
    report = re.search(r"^report: (.*)$", done.err, re.MULTILINE)
    assert report, done.err
    assert report[1].startswith(f"{named} report run-")
    assert said(*shlex.split(report[1])[1:]).ended(0).out.startswith("# ")
    assert f"To let it go as it was:  {named} release-hold" in done.out
    said("--config", scene.stage.config, "release-hold").ended(0)
    assert scene.stage.running_version() == BAD
