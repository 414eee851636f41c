"""The runbook is for a person with no backout at hand: its commands, typed as they stand, take the release back."""

import subprocess

import pytest

from backout import Backout
from backout.demo.releases import GOOD

pytestmark = pytest.mark.slow


def test_the_commands_of_the_runbook_take_the_release_back(scene):
    with Backout.from_config(scene.stage.config, scene.environ()) as backout:
        plan, kinds = backout.plan(), backout.parts.kinds
    switch = [s.spec for s in plan.steps if s.spec.kind.startswith("process.")]
    assert [s.kind for s in switch] == ["process.stop", "process.link", "process.start"]
    lines = [line for spec in switch for line in kinds[spec.kind].by_hand(spec)]
    subprocess.run(
        ["bash", "-ec", "\n".join(lines)], env=scene.environ(), check=True, timeout=60, start_new_session=True
    )
    state = scene.state()
    assert (state["version"], state["link"], state["processes"]) == (GOOD, GOOD, 1)
    assert state["pid_file_is_right"], "a person, and backout, would lose sight of it"
