"""Every verb: help with an example, and results that a program can read."""

import json
import os
import re

import pytest
from tests.command_line import Terminal

from backout.demo.releases import BAD, GOOD

pytestmark = pytest.mark.slow
VERBS = (
    "init",
    "doctor",
    "record",
    "releases",
    "plan",
    "run",
    "status",
    "resume",
    "abort",
    "verify",
    "watch",
    "history",
    "report",
    "hold",
    "release-hold",
    "check",
    "migrate",
    "demo",
)

WITH_OWN_VERBS = {"backup": "list", "canary": "status", "data": "diff", "db": "history"}


def test_the_list_of_verbs_is_whole(looks):
    told = looks.cli("--help").ended(0).out
    commands = re.split(r"Commands:", told)[1]
    assert set(re.findall(r"^  ([a-z-]+) ", commands, re.MULTILINE)) == {*VERBS, *WITH_OWN_VERBS}
    assert "Example: backout" in told


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(looks, verb):
    told = looks.cli(verb, "--help").ended(0).out
    assert f"Example: backout {verb}" in told
    assert "--json" in told


@pytest.mark.parametrize("verb", WITH_OWN_VERBS)
def test_a_verb_with_verbs_of_its_own_lists_them(looks, verb):
    told = looks.cli(verb, "--help").ended(0).out
    assert re.search(rf"^  {WITH_OWN_VERBS[verb]} ", told, re.MULTILINE)
    assert f"Example: backout {verb} {WITH_OWN_VERBS[verb]}" in told
    below = looks.cli(verb, WITH_OWN_VERBS[verb], "--help").ended(0).out
    assert f"Example: backout {verb} {WITH_OWN_VERBS[verb]}" in below


@pytest.mark.parametrize(
    ("typed", "meant"), [(["doctr"], "'doctor'"), (["db", "rolback"], "'rollback'"), (["xyzzy"], None)]
)
def test_a_mistyped_verb_is_told_as_the_one_that_was_meant(looks, typed, meant):
    told = looks.cli(*typed).ended(2).err
    assert f"No such command '{typed[-1]}'" in told
    assert (f"Did you mean {meant}?" in told) if meant else ("Did you mean" not in told)


def test_every_verb_prints_json(scene, tmp_path):
    def read(*words, code=0):
        done = scene.cli(*words, "--json")
        assert done.code == code, done.everything
        return json.loads(done.out)

    assert read()["service"] == "collector"
    assert read("doctor", code=3)["lines"], "there is no backup yet"
    made = read("backup", "create")["name"]
    assert read("backup", "verify")["backup"] == made
    assert read("doctor")["lines"]
    assert read("releases")["rows"]
    assert read("plan")["plan"]["to_version"] == GOOD
    assert read("hold", "--yes")["state"] == "finished"
    assert read("release-hold")["state"] == "finished"
    run = read("run", "--yes")
    assert run["plan"]["to_version"] == GOOD
    assert read("status", run["id"])["id"] == run["id"]
    assert read("report", run["id"])["id"] == run["id"]
    assert read("history")["runs"][0]["id"] == run["id"]
    assert read("history", "--verify")["verified_events"] > 10
    assert read("verify")["outcome"] == "pass"
    assert read("record")["release"]["version"] == GOOD
    assert read("resume", code=2)["error"]["code"] == "unknown-run"
    assert read("abort", "--yes", code=2)["error"]["code"] == "unknown-run"
    assert read("status", "run-nowhere", code=2)["error"]["code"] == "unknown-run"
    (tmp_path / "new").mkdir()
    assert json.loads(scene.cli("init", tmp_path / "new", "--json").out)


def test_the_exit_code_of_status_is_the_runs_own_with_json_too(scene):
    with scene.configured(lambda c: c.replace("max_p95_ms: 20000", "max_p95_ms: 0.001")):
        scene.cli("run", "--yes").ended(6)
    assert scene.cli("status").ended(6).out
    assert scene.cli("status", "--json").ended(6).json["state"] == "finished"
    assert scene.cli("status", "--json", "--follow").ended(6).json["state"] == "finished"


def test_nobody_to_ask_and_no_yes(looks):
    looks.cli("run").refused(
        4,
        what=rf"Nobody can be asked here: collector in production: {BAD} → {GOOD}",
        now="Nothing was changed",
        next=rf"^backout run --to {GOOD} --yes$",
    )


def test_the_command_that_is_told_does_what_was_asked(looks):
    """What was wished for is in it: a person who types it gets the same plan."""
    done = looks.cli("run", "--hold-first", "--reason", "it burns", "--accept", "schema-unknown")
    next_command = done.ended(4).error["next"]
    assert "--hold-first" in next_command
    assert "--accept schema-unknown" in next_command
    assert next_command.endswith("--reason 'it burns' --yes")


def test_a_person_says_yes(scene):
    terminal = Terminal(scene.cli, "run")
    terminal.read_until(r"Go on\? \[y/N\]")
    assert f"collector in production: {BAD} → {GOOD}" in terminal.text
    terminal.type("y")
    assert terminal.end() == 0, terminal.text
    scene.finished_well()


@pytest.mark.parametrize("answer", ["n", "", "yes please"])
def test_a_person_says_anything_else(looks, answer):
    terminal = Terminal(looks.cli, "run")
    terminal.read_until(r"Go on\? \[y/N\]")
    terminal.type(answer)
    assert terminal.end() == 4
    assert "Not confirmed" in terminal.text
    assert "Nothing was changed" in terminal.text


@pytest.mark.parametrize("verb", [("run", "--hold-first"), ("hold",)])
def test_ctrl_c_at_the_question_changes_nothing_and_says_so(looks, verb):
    before = looks.cli("history", "--json").json
    terminal = Terminal(looks.cli, *verb)
    terminal.read_until(r"Go on\? \[y/N\]")
    os.write(terminal.fd, b"\x03")
    assert terminal.end() == 130
    assert "Nothing was changed." in terminal.text
    assert re.search(rf"next +backout {' .*'.join(verb)}", terminal.text)
    assert "journal" not in terminal.text
    assert looks.cli("history", "--json").json == before


def test_production_may_want_the_services_name(scene):
    with scene.configured(
        lambda c: c.replace(
            "environment: production", "environment: production\nconfirm: type-service-name", 1
        )
    ):
        wrong = Terminal(scene.cli, "run")
        wrong.read_until("Type collector to go on")
        wrong.type("y")
        assert wrong.end() == 4
        assert scene.stage.running_version() == BAD
        right = Terminal(scene.cli, "run")
        right.read_until("Type collector to go on")
        right.type("collector")
        assert right.end() == 0, right.text
    scene.finished_well()


def test_the_terminal_goes_away_in_the_middle(scene):
    terminal = Terminal(scene.cli, "run")
    terminal.read_until(r"Go on\? \[y/N\]")
    terminal.type("y")
    terminal.read_until(r"run run-\d")
    os.close(terminal.fd)
    code = os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1])
    run = scene.cli("status", "--json").ended(0).json
    assert (run["state"], run["verification"]["outcome"]) == ("finished", "pass"), code
    assert code == 0
    scene.finished_well()


def test_a_reader_that_goes_away(looks):
    process = looks.cli.start("plan", "--json")
    process.stdout.close()
    process.wait(60)
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
