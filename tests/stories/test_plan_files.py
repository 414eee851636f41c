"""A plan in a file: what was looked at is what runs, or nothing does."""

import dataclasses
import json
from datetime import timedelta

import pytest

from backout import Backout
from backout.app.plan import write_plan
from backout.clock import SystemClock
from backout.demo.releases import BAD, GOOD

pytestmark = pytest.mark.slow


@pytest.fixture
def made(looks):
    file = looks.stage.directory / "plan.json"
    done = looks.cli("plan", "-o", file).ended(0)
    assert f"next   backout run {file}" in done.out
    yield file
    file.unlink()


def test_a_plan_file_runs_as_it_is(scene):
    file = scene.stage.directory / "plan.json"
    scene.cli("plan", "--to", GOOD, "-o", file).ended(0)
    digest = json.loads(file.read_text())["digest"]
    run = scene.cli("run", file, "--yes", "--json").ended(0).json
    assert run["plan"]["to_version"] == GOOD
    assert scene.cli("history", "--verify").ended(0)
    created = scene.cli("report", "--format", "json").ended(0).json
    assert created["plan"]["id"] == json.loads(file.read_text())["plan"]["id"]
    assert digest
    scene.finished_well()


@pytest.mark.parametrize(
    "edit",
    [
        lambda plan: plan["steps"][4]["spec"].update(timeout_s=1.0),
        lambda plan: plan["steps"].pop(0),
        lambda plan: plan.update(accepted=["schema-unknown"]),
        lambda plan: plan.update(to_version="9.9.9"),
    ],
    ids=["a timeout", "a step removed", "a risk accepted", "another version"],
)
def test_a_plan_that_was_edited_is_refused(looks, made, edit):
    document = json.loads(made.read_text())
    edit(document["plan"])
    made.write_text(json.dumps(document))
    done = looks.cli("run", made, "--yes")
    done.refused(
        2,
        what=r"plan\.json cannot be used: it was changed after it was made",
        now="Nothing was changed",
        next="^backout plan -o .*plan.json$",
    )


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"digest": "x", "plan": {}}', "not json", "\udcff"],
    ids=["empty", "no fields", "no plan", "text", "bytes"],
)
def test_a_file_that_is_no_plan_is_refused(looks, made, text):
    made.write_bytes(text.encode(errors="surrogateescape"))
    done = looks.cli("run", made, "--yes")
    done.refused(2, what=r"plan\.json cannot be used: ", now="Nothing was changed", next="^backout plan -o ")


def test_a_plan_file_that_is_not_there(looks):
    looks.cli("run", "nowhere.json", "--yes").refused(
        2,
        what=r"nowhere\.json cannot be used: .*No such file",
        now="Nothing was changed",
        next="^backout plan -o nowhere.json",
    )


def test_a_plan_of_another_service_is_refused(looks, made):
    with looks.configured(lambda config: config.replace("service: collector", "service: billing", 1)):
        done = looks.cli("run", made, "--yes")
    done.refused(
        2, what=r"it is for collector in production", now="Nothing was changed", next="^backout plan -o "
    )


class AnHourAgo(SystemClock):
    def now(self):
        return super().now() - timedelta(hours=1)


def test_a_plan_that_is_too_old_is_refused(looks):
    file = looks.stage.directory / "old.json"
    with Backout.from_config(looks.stage.config, looks.environ()) as backout:
        backout.parts.site = dataclasses.replace(backout.parts.site, clock=AnHourAgo())
        write_plan(file, backout.plan())
    done = looks.cli("run", file, "--yes")
    done.refused(
        4,
        what=r"Plan plan-\S+ expired at \d\d:\d\d:\d\d UTC",
        now="Nothing was changed",
        next=r"^backout plan --to 5\.3\.0",
    )
    file.unlink()


def test_a_plan_file_takes_no_further_wishes(looks, made):
    for more in (("--to", BAD), ("--accept", "quarantined"), ("--hold-first",), ("--cause", "data")):
        looks.cli("run", made, *more, "--yes").refused(
            2, what="A plan file runs as it is", now="Nothing was changed", next="backout plan --help"
        )


def test_somebody_deployed_meanwhile(scene):
    file = scene.stage.directory / "plan.json"
    scene.cli("plan", "--to", GOOD, "-o", file).ended(0)
    scene.stage.deploy(GOOD)
    before = scene.state()
    done = scene.cli("run", file, "--yes")
    done.refused(
        5,
        what=r"wanted changed since the plan was made: 5\.3\.0 now, 5\.4\.0 then",
        now="Nothing was changed",
        next="^backout plan$",
    )
    assert scene.state() == before
    rows = scene.cli("releases", "--json").json["rows"]
    assert [row["quarantined"] for row in rows] == [None, None]
    # Nothing waits: the next run is not kept back by one that did nothing.
    scene.stage.deploy(BAD)
    scene.cli("run", "--to", GOOD, "--yes").ended(0)
    scene.finished_well()


def test_somebody_migrated_meanwhile(scene):
    file = scene.stage.directory / "plan.json"
    scene.cli("plan", "--to", GOOD, "-o", file).ended(0)
    before = scene.state()
    with scene.sql(
        "ALTER TABLE reports ADD COLUMN later text", undo=("ALTER TABLE reports DROP COLUMN later",)
    ):
        done = scene.cli("run", file, "--yes")
        done.refused(
            5,
            what=r"schema changed since the plan was made",
            now="Nothing was changed",
            next="^backout plan$",
        )
    assert scene.state() == before
