"""The platform `command`: a service that only its own scripts know how to change."""

import re

import pytest

pytestmark = pytest.mark.slow


def running(directory):
    return (directory / "running").read_text().strip()


def test_the_whole_way_back(tiny):
    directory, cli = tiny
    assert cli("doctor").code in (0, 3)
    plan = cli("plan").ended(0)
    assert "./deploy 1.0" in plan.out
    done = cli("run", "--yes")
    assert done.code in (0, 9), done.everything
    assert running(directory) == "1.0"
    refused = cli("run", "--to", "2.0", "--yes")
    refused.refused(8, what=r"2\.0 was backed out", now=r"1\.0 still runs", next="--accept quarantined")
    rows = cli("releases", "--json").ended(0).json["rows"]
    assert [(r["release"]["version"], r["current"], bool(r["quarantined"])) for r in rows] == [
        ("2.0", False, True),
        ("1.0", True, False),
    ]


def test_a_record_waits_until_the_probe_answers(tiny):
    directory, cli = tiny
    (directory / "running").rename(directory / "stopped")
    record = cli.start("record")
    assert record.stderr is not None
    said = record.stderr.readline()
    assert re.match(r"Waiting up to 30 s until the service is ready: the probe does not answer: .*\.$", said)
    (directory / "stopped").rename(directory / "running")
    done = cli.finish(record)
    assert done.code in (0, 9), done.everything


def test_a_script_that_fails(tiny):
    directory, cli = tiny
    (directory / "fail").touch()
    done = cli("run", "--yes")
    done.refused(
        5,
        what=r"2\.0 runs.*exit status 7.*the registry is down",
        now=r"nothing is held\. Either 2\.0, or .* serves: step 03-command-switch, .* decides\. backout abort run-",
        next="^backout resume run-",
    )
    assert running(directory) == "2.0"
    (directory / "fail").unlink()
    assert cli("resume").code in (0, 9)
    assert running(directory) == "1.0"


def test_a_script_that_hangs(tiny):
    directory, cli = tiny
    (directory / "hang").touch()
    text = (directory / "backout.yaml").read_text()
    (directory / "backout.yaml").write_text(text.replace("timeout_s: 5", "timeout_s: 1.5"))
    done = cli("run", "--yes")
    done.refused(5, what=r"the script for 1\.0 runs", now="nothing is held", next="^backout resume run-")
    # It is not started a second time while it runs.
    again = cli("resume")
    again.refused(5, what=r"the script for 1\.0 runs", now="nothing is held", next="^backout resume run-")
    cli.end_children(directory)
    (directory / "hang").unlink()
    assert cli("resume").code in (0, 9)
    assert running(directory) == "1.0"


def test_without_a_probe_the_outcome_is_unknown_until_a_person_looked(tiny):
    directory, cli = tiny
    text = (directory / "backout.yaml").read_text()
    (directory / "backout.yaml").write_text(text.replace("  probe: [cat, running]\n", ""))
    cli("plan").refused(
        4,
        what="cannot tell what runs; the records say 2.0",
        now="Nothing was changed",
        next="--accept outcome-unknown",
    )
    told = cli("doctor").ended(3).out
    assert "no probe is declared" in told.lower()
    assert running(directory) == "2.0"
    done = cli("run", "--yes", "--accept", "outcome-unknown")
    done.refused(
        7,
        what="What step .* did is not known",
        now="steps are done",
        next="^backout resume run-.* --confirm ",
    )
    assert running(directory) == "1.0"
    # Going on by itself would be a guess; a person who looked may say so, with a reason.
    cli("resume").refused(7, what="is not known", now="steps are done", next="--confirm")
    step = re.search(r"--confirm (\S+)", done.err)[1]
    cli("resume", "--confirm", step).refused(2, what="with a reason", now="Nothing", next="--confirm")
    cli("resume", "--confirm", "99-verify", "--reason", "x").refused(
        2, what="Only the step", now="Nothing", next="--confirm"
    )
    assert cli("resume", "--confirm", step, "--reason", "I looked: 1.0 answers").code in (0, 9)
    assert "I looked: 1.0 answers" in cli("report").out


def test_a_probe_that_stops_answering_in_the_middle(tiny):
    directory, cli = tiny
    script = directory / "deploy"
    script.write_text(script.read_text().replace('echo "$1" >running', 'echo "$1" >was; rm running'))
    done = cli("run", "--yes")
    done.refused(
        7, what="what runs is not known", now="nothing is held", next="^backout (status|resume) run-"
    )
    (directory / "was").rename(directory / "running")
    assert cli("resume").code in (0, 9)


@pytest.mark.parametrize("state", ["deploying", "failed"])
def test_from_a_release_that_is_still_deploying_or_failed(tiny, state):
    directory, cli = tiny
    cli("record", "--state", state).ended(0)
    assert cli("run", "--yes").code in (0, 9)
    assert running(directory) == "1.0"


def test_a_version_that_the_list_does_not_name(tiny):
    directory, cli = tiny
    (directory / "versions").write_text("2.0\n")
    done = cli("run", "--to", "1.0", "--yes")
    done.refused(
        3,
        what=r"1\.0 is known, but the platform cannot run it any more: .*list",
        now="Nothing was changed",
        next="backout releases",
    )
    assert running(directory) == "2.0"
