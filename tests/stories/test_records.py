"""What `record` takes, and how what was recorded is shown."""

import os
import re
import shlex
import time

import pytest

from backout.demo.releases import BAD, GOOD

pytestmark = pytest.mark.slow
SURPRISE = "fast\x1b[2J\x1b]0;owned\x07 thing\nsecond line"


@pytest.mark.parametrize("version", ["7.7.7", "../x", "-rf", "a\nb"])
def test_a_version_that_the_platform_does_not_have_is_not_recorded(tiny, version):
    _, cli = tiny
    before = cli("releases", "--json").json["rows"]
    done = cli("record", f"--version={version}", "--no-checks")
    done.refused(
        2, what="no release 7.7.7|cannot be the name", now="Nothing was recorded", next="^backout releases$"
    )
    assert cli("releases", "--json").json["rows"] == before


def test_a_slip_of_the_keyboard_is_told_as_the_command_that_was_meant(tiny):
    _, cli = tiny
    cli("record", "--version", "2.1", "--no-checks").refused(
        2,
        what="no release 2.1 of tiny. Near: 2.0",
        now="--state deploying",
        next="^backout record --version 2.0$",
    )


@pytest.mark.parametrize("state", ["deploying", "failed"])
def test_what_is_being_deployed_is_not_there_yet(tiny, state):
    _, cli = tiny
    cli("record", "--version", "3.0", "--state", state).ended(0)


def test_a_quarantined_version_is_recorded_by_the_command_that_is_told(tiny):
    directory, cli = tiny
    cli("run", "--yes")
    (directory / "running").write_text("2.0\n")
    words = ("--no-checks", "--by", "eve", "--subject", "a hot fix")
    done = cli("record", *words).refused(
        8, what="2.0 was backed out", now="Nothing was recorded", next="--accept quarantined$"
    )
    typed = shlex.split(done.error["next"])
    assert typed[1:] == [
        "record", "--version", "2.0", "--subject", "a hot fix", "--by", "eve", "--no-checks", "--accept", "quarantined",
    ]  # fmt: skip
    assert cli(*typed[1:]).ended(0).out == "recorded 2.0 as unknown\n"


def test_what_was_recorded_cannot_steer_a_terminal(tiny):
    _, cli = tiny
    cli("record", "--no-checks", "--subject", SURPRISE, "--by", "eve\x1b[31m\nroot").ended(0)
    for words in (("releases",), ()):
        told = cli(*words).out
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", told), ascii(told)
        assert "fast" in told
        assert "second line" not in told
    row = cli("releases", "--json").json["rows"][0]["release"]
    assert row["subject"] == SURPRISE, "the record itself is what it was told"


def test_what_makes_the_answer_unknown_is_told_as_its_reason(tiny):
    directory, cli = tiny
    (directory / "versions").write_text("2.0\n0.9\n")
    told = cli().ended(0).out
    assert "safe?  unknown: No record says that 0.9 ever served well." in told
    # No database is configured: code alone is all that there is (docs/decision-table.md).
    plan = cli("plan", "--to", "0.9", "--json").ended(0).json["plan"]
    assert plan["verdict"] == "unknown"


def test_what_was_before_is_known_while_a_run_waits(tiny):
    directory, cli = tiny
    (directory / "fail").touch()
    cli("run", "--yes").ended(5)
    found = cli("--json").ended(0).json
    assert found["acting"]["waits"]
    assert found["safe"] == "unknown"
    assert found["previous"]["version"] == "1.0"
    assert found["current"]["version"] == "2.0"


def test_since_when_a_release_runs_is_what_the_platform_says_where_that_is_later(looks):
    link = looks.stage.root / "current"
    before = link.lstat()
    long_ago = time.time() - 3600
    os.utime(link, (long_ago, long_ago), follow_symlinks=False)
    recorded = looks.cli("--json").json
    assert recorded["since"] == recorded["current"]["deployed_at"]
    later = time.time() + 5
    os.utime(link, (later, later), follow_symlinks=False)
    found = looks.cli("--json").json
    os.utime(link, (before.st_atime, before.st_mtime), follow_symlinks=False)
    assert found["current"]["version"] == BAD
    assert found["since"] > recorded["since"]
    assert GOOD in looks.cli().out


def test_nothing_held_and_nothing_to_let_go(tiny):
    _, cli = tiny
    told = cli("release-hold").ended(0).out
    assert re.search(r"See how things stand: +backout$", told, re.MULTILINE)


def test_an_emergency_is_told_with_all_that_was_typed(tiny):
    _, cli = tiny
    done = cli("run", "--emergency", "--reason", "it burns", "--to", "1.0", "--yes")
    done.refused(2, what="has to be said", now="Nothing was changed",
                 next="^backout run --emergency --scenario code --to 1.0 --reason 'it burns' --yes$")  # fmt: skip
