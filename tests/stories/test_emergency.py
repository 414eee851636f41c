"""Nothing answers but the platform: no configuration, no state file, no database, no git."""

import re
import shlex
import shutil

import pytest
from tests.command_line import Cli, Terminal

from backout.demo.releases import BAD, GOOD

pytestmark = pytest.mark.slow
EMERGENCY = ("run", "--emergency", "--scenario", "code")


@pytest.fixture
def alone(scene, tmp_path):
    """Nothing but the platform's folders: configuration gone, state file garbage, database down, no git."""
    scene.stage.config.rename(tmp_path / "kept.yaml")
    scene.state_file.write_bytes(b"garbage" * 4096)
    scene.stage.postgres.stop()
    empty = tmp_path / "bin"
    empty.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    yield scene, Cli(elsewhere, {**scene.cli.environ, "PATH": str(empty), "DATABASE_URL": ""})
    shutil.rmtree(scene.stage.directory / "xdg", ignore_errors=True)
    if not scene.stage.config.exists():
        (tmp_path / "kept.yaml").rename(scene.stage.config)
    if not scene.stage.children.alive("postgres"):
        scene.stage.postgres.start()


def test_the_code_goes_back_with_nothing_but_the_platform(alone):
    scene, run = alone
    root = scene.stage.root
    done = run(*EMERGENCY, "--root", root, "--reason", "all is on fire", "--yes")
    # The release itself needs the database to be ready; the command that is told goes on once that is back.
    done.refused(
        5,
        what=r"5\.3\.0 runs; .*/health is not ready: HTTP 503",
        now="4 of 6 steps are done; nothing is held",
        next=rf"^backout run --emergency --scenario code --to 5\.3\.0 --root {root} --reason 'all is on fire' --yes$",
    )
    assert "NOT known" in done.err
    planned = re.findall(r"^  +\d+  (.*)$", done.err.partition("NOT known")[0], re.MULTILINE)
    assert len(planned) == 6, done.err
    assert [sentence.split()[0] for sentence in planned] == [
        "Check",
        "Quarantine",
        "Stop",
        "Point",
        "Start",
        "Prove",
    ]
    assert (root / "current").readlink().name == GOOD
    scene.stage.postgres.start()
    scene.until(lambda: scene.stage.running_version() == GOOD)
    again = run(*shlex.split(done.error["next"])[1:])
    again.ended(9)  # Nothing was proven: no check is known here.
    scene.finished_well()


def test_a_person_says_why_and_one_word_and_nothing_more(alone):
    scene, cli = alone
    link = scene.stage.root / "current"
    for word in ("yes", "back"):
        terminal = Terminal(cli, *EMERGENCY, "--root", scene.stage.root)
        terminal.read_until(r"use its schema is NOT known[\s\S]*Why\? \(for the journal\) $")
        terminal.type("the disk burns")
        terminal.read_until("Type back to go on: $")
        assert link.readlink().name == BAD
        terminal.type(word)
        if word != "back":
            assert terminal.end() == 4
            assert "Not confirmed" in terminal.text and "Nothing was changed" in terminal.text
    scene.until(lambda: link.readlink().name == GOOD)
    scene.stage.postgres.start()
    assert terminal.end() == 9, terminal.text
    kept = [file.read_bytes() for file in (scene.stage.directory / "xdg").rglob("*") if file.is_file()]
    assert any(b"the disk burns" in content for content in kept)
    scene.finished_well()


def test_the_command_that_is_told_accepts_what_was_accepted(alone):
    scene, run = alone
    words = (*EMERGENCY, "--root", scene.stage.root, "--accept", "automation:argo-cd")
    told = run(*words, "--reason", "x").ended(4).error["next"]
    assert told.endswith("--accept automation:argo-cd --reason x --yes")


def test_an_emergency_while_the_database_answers(scene, tmp_path):
    kept = scene.stage.config.rename(tmp_path / "kept.yaml")
    try:
        done = scene.cli(
            *EMERGENCY, "--root", scene.stage.root, "--reason", "no configuration", "--yes", cwd=tmp_path
        )
    finally:
        kept.rename(scene.stage.config)
        shutil.rmtree(scene.stage.directory / "xdg", ignore_errors=True)
    done.ended(9)
    scene.finished_well()


def test_what_an_emergency_needs_to_be_told(alone):
    scene, run = alone
    root = scene.stage.root
    run(*EMERGENCY, "--root", root, "--yes").refused(
        4,
        what="A reason is needed",
        now="Nothing was changed",
        next=rf"^backout run --emergency --scenario code --root {root} --yes --reason ",
    )
    run("run", "--emergency", "--root", root, "--reason", "x", "--yes").refused(
        2,
        what="takes back the code alone",
        now="Nothing was changed",
        next=rf"^backout run --emergency --scenario code --root {root}",
    )
    run(*EMERGENCY, "--root", root, "--reason", "x").refused(
        4,
        what=rf"Nobody can be asked here: .*{BAD} → {GOOD}",
        now="Nothing was changed",
        next=r"--root \S+ --reason x --yes$",
    )
    run(*EMERGENCY, "--reason", "x", "--yes").refused(
        2,
        what="no configuration, and no releases/",
        now="Nothing was changed",
        next="--root /path/to/the/service$",
    )
    run(*EMERGENCY, "--root", root, "--to", "9.9", "--reason", "x", "--yes").refused(
        2, what=r"no release 9\.9", now="Nothing was changed", next="^backout "
    )
    assert (root / "current").readlink().name == BAD
    assert len(scene.stage.collectors()) == 1


def test_the_journal_of_an_emergency_is_merged_later(scene):
    before = scene.cli("history", "--json").ended(0).json["runs"]
    done = scene.cli(*EMERGENCY, "--reason", "state file on a dead disk", "--yes", "--json").ended(9)
    unseen = [r for r in done.json["verification"]["results"] if r["outcome"] != "pass"]
    assert {(r["outcome"], r["proves"]) for r in unseen} == {("inconclusive", "database")}, (
        "the rest is proven"
    )
    assert "Not looked at in an emergency" in str(unseen[-1]["evidence"])
    scene.finished_well()
    run = done.json["id"]
    assert done.json["emergency"] is True
    runs = scene.cli("history", "--json").ended(0).json["runs"]
    assert [r["id"] for r in runs] == [run, *(r["id"] for r in before)]
    assert runs[0]["reason"] == "state file on a dead disk"
    rows = scene.cli("releases", "--json").json["rows"]
    assert [row["release"]["version"] for row in rows if row["quarantined"]] == [BAD]
    scene.cli("history", "--verify").ended(0)
    assert len(scene.cli("history", "--json").json["runs"]) == len(runs), "it is merged once"
    assert run in scene.cli("report", run).ended(0).out
    # A usual run afterwards, and the chain is whole.
    scene.cli("run", "--to", GOOD, "--yes").ended(0)
    scene.cli("history", "--verify").ended(0)


def test_an_emergency_with_a_state_file_that_cannot_be_read(scene):
    scene.state_file.write_bytes(b"garbage" * 4096)
    done = scene.cli(*EMERGENCY, "--reason", "the state file is garbage", "--yes")
    done.ended(9)  # Nobody looked at the database: it may still refuse writes by a hold of backout's own.
    assert re.search(r"^not looked at: .*database.*backout release-hold$", done.err, re.MULTILINE), done.err
    scene.finished_well()


def test_an_emergency_is_merged_into_its_own_journal_alone(scene, tmp_path):
    """One user's emergencies of all services lie side by side; a service of the same name is another one."""
    other = tmp_path / "other"
    other.mkdir()
    shutil.copytree(scene.stage.root, other / "srv", symlinks=True)
    text = scene.stage.config.read_text()
    assert "root: srv/collector" in text or "root: " in text
    (other / "backout.yaml").write_text(re.sub(r"root: .*", "root: srv", text))
    (tmp_path / "empty").mkdir()
    done = scene.cli(
        *EMERGENCY, "--root", scene.stage.root, "--reason", "x", "--yes", "--json", cwd=tmp_path / "empty"
    ).ended(9)
    assert scene.cli("history", "--json", cwd=other).ended(0).json["runs"] == []
    runs = scene.cli("history", "--json").ended(0).json["runs"]
    assert runs[0]["id"] == done.json["id"]
    scene.finished_well()


def test_doctor_names_what_is_not_merged_and_leaves_it(scene):
    scene.cli(*EMERGENCY, "--reason", "state file on a dead disk", "--yes").ended(9)
    told = scene.cli("doctor").ended(3)
    assert re.search(r"FAIL  journal of an emergency: \S+ is not merged", told.out)
    assert "journal of an emergency" in scene.cli("doctor").ended(3).out
    scene.cli("history").ended(0)
    assert "journal of an emergency" not in scene.cli("doctor").out
