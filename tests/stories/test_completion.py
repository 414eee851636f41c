"""What a shell offers while somebody types."""

import pytest

pytestmark = pytest.mark.slow


def offered(cli, line):
    """Return what is offered for the last word of a line, as bash asks."""
    words = line.split(" ")
    env = {"_BACKOUT_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return cli(env=env).ended(0).out.split()


def test_recorded_versions_are_offered_newest_first(tiny):
    _, cli = tiny
    for verb in ("run", "plan"):
        assert offered(cli, f"backout {verb} --to ") == ["2.0", "1.0"]
    assert offered(cli, "backout run --to 1") == ["1.0"]
    assert offered(cli, "backout --config backout.yaml run --to 1") == ["1.0"]


def test_runs_are_offered(tiny):
    _, cli = tiny
    run = cli("run", "--yes", "--json").json["id"]
    for verb in ("status", "resume", "report", "abort"):
        assert offered(cli, f"backout {verb} ") == [run]


def test_options_and_verbs_are_offered_still(tiny):
    _, cli = tiny
    assert "--emergency" in offered(cli, "backout run --")
    assert offered(cli, "backout rel") == ["releases", "release-hold"]


def test_without_a_configuration_nothing_is_offered_and_nothing_said(tmp_path, make_cli):
    done = make_cli(tmp_path)(
        env={"_BACKOUT_COMPLETE": "complete_bash", "COMP_WORDS": "backout run --to ", "COMP_CWORD": "3"}
    ).ended(0)
    assert done.everything.strip() == ""
