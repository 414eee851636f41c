"""The runbook is for a person with no backout at hand: its commands, typed as they stand, take the release back."""

import re
import subprocess

import pytest

from backout.demo.releases import BAD, GOOD

pytestmark = pytest.mark.slow
_STEP = re.compile(
    r"^### Step \d+: (?P<title>.*?)$.*?^Type:\n\n```sh\n(?P<typed>.*?)^```$", re.DOTALL | re.MULTILINE
)


def typed(scene, lines):
    """Type a step's commands in a shell that is the person's, and return what it shows."""
    done = subprocess.run(
        ["bash", "-ec", lines],
        cwd=scene.stage.directory,
        env=scene.environ(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        start_new_session=True,
    )
    assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_runbook_typed_as_it_stands_takes_the_release_back(scene):
    runbook = scene.cli("plan", "--format", "md").ended(0).out
    steps = [(step["title"], step["typed"]) for step in _STEP.finditer(runbook)]
    assert [title.split()[0] for title, _ in steps] == [
        "Check", "Quarantine", "Hold", "Stop", "Point", "Start", "Let", "Prove",
    ]  # fmt: skip
    shown = {}
    for title, lines in steps:
        shown[title.split()[0]] = typed(scene, lines)
        front = scene.stage.state()["front"]
        assert front == ("queue" if {"Hold", "Let"} & set(shown) == {"Hold"} else "pass"), title
    assert shown["Check"] == f"releases/{BAD}\n"
    assert f"X-Collector-Version: {GOOD}" in shown["Prove"]
    assert '{"status":"ok","service":"collector","database":"connected"}' in shown["Prove"]
    assert "0 of 80 failed" in shown["Prove"]
    assert "one report sent and read back\n0\n" in shown["Prove"], (
        "what the smoke check says, and its exit code"
    )
    assert shown["Prove"].endswith("\n0\n"), "reports without a tenant"
    # A person, and backout, would lose sight of the service if the pid file were wrong: that is looked at too.
    scene.finished_well()
