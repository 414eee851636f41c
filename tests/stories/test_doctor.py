"""`doctor`: each line that is not fine says what to do about it."""

import os

import pytest

pytestmark = pytest.mark.slow


def not_fine(done):
    """Return the lines that are not fine, each of which has to have its remedy."""
    lines = [line for line in done.ended(3).json["lines"] if line["ok"] is not True]
    assert [line for line in lines if not line["remedy"]] == []
    return {line["subject"]: line["remedy"] for line in lines}


def test_what_does_not_work_is_named_with_its_remedy(tiny):
    directory, cli = tiny
    (directory / "deploy").chmod(0o644)
    (directory / "running").unlink()
    found = not_fine(cli("doctor", "--json"))
    assert found["deploy"] == "ls -l ./deploy"
    assert "cat running" in found["probe answers"]
    told = cli("doctor").ended(3).out
    for remedy in found.values():
        assert f"→ {remedy}" in told


def test_an_adapter_that_breaks_hides_nothing_else_and_is_told_with_what_to_do(tiny, tmp_path_factory):
    """An error that nobody thought of, as a broken library would raise it."""
    _, cli = tiny
    broken = tmp_path_factory.mktemp("broken")
    # sitecustomize is imported by every Python: it breaks the adapter from outside.
    (broken / "sitecustomize.py").write_text(
        "from backout.platforms.command import CommandPlatform\nCommandPlatform.doctor = lambda self: 1 / 0\n"
    )
    path = os.pathsep.join([str(broken), cli.environ.get("PYTHONPATH", "")])
    done = cli("doctor", "--json", env={"PYTHONPATH": path})
    assert "report it as a bug" in not_fine(done)["platform"]
    assert "state file" in [line["subject"] for line in done.json["lines"] if line["ok"]]
