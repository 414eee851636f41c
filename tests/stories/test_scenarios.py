"""How far back: a schema that the earlier code cannot use, damaged data, and what nobody can do yet."""

import json

import pytest

from backout.demo.releases import GOOD

pytestmark = pytest.mark.slow

BREAK = "ALTER TABLE reports RENAME COLUMN body TO text"
MEND = "ALTER TABLE reports RENAME COLUMN text TO body"


@pytest.fixture
def broken(looks):
    """The good release needs a column that is gone."""
    with looks.sql(BREAK, undo=(MEND,)):
        yield looks


@pytest.mark.parametrize("verb", [("plan",), ("run", "--yes")])
def test_code_that_cannot_use_the_schema_is_not_taken_back_alone(broken, verb):
    before = broken.state()
    done = broken.cli(*verb)
    done.refused(
        4,
        what=r"Scenario full is needed.*cannot use the schema",
        now="Nothing was changed.*never chooses a restore",
        next="^backout plan .*--scenario full$",
    )
    code = broken.cli(*verb, "--scenario", "code")
    code.refused(
        8,
        what=r"5\.3\.0 cannot use this schema: column public\.reports\.body removed.*fix forward",
        now=r"5\.4\.0 still runs",
        next="^backout ",
    )
    assert broken.state() == before


@pytest.mark.parametrize("scenario", ["full", "data"])
def test_a_restore_without_a_backup_is_not_possible(broken, scenario):
    done = broken.cli("run", "--scenario", scenario, "--yes")
    done.refused(
        3,
        what="There is no backup of collector at all",
        now="Nothing was changed",
        next="^backout ",
    )


def test_an_unusable_schema_cannot_be_accepted_away(broken):
    done = broken.cli("run", "--scenario", "code", "--accept", "schema-unknown", "--yes")
    assert done.ended(8).error["next"] != "backout plan --to 5.3.0 --accept schema-unknown"


def test_the_overview_says_that_going_back_is_not_safe(broken):
    overview = broken.cli("--json").ended(0).json
    assert overview["safe"] != "yes"
    # On a busy machine a source may not answer within its second.
    broken.until(lambda: "Scenario full is needed" in broken.cli().out)


def test_a_persons_word_makes_an_unknown_schema_usable(scene):
    # A default that changes is nothing that a rule can prove harmless.
    with scene.sql(
        "CREATE VIEW latest AS SELECT id FROM reports",
        "CREATE RULE quiet AS ON UPDATE TO reports DO INSTEAD NOTHING",
        "ALTER TABLE reports ADD CONSTRAINT not_empty CHECK (body <> '') NOT VALID",
        undo=(
            "DROP VIEW latest",
            "DROP RULE quiet ON reports",
            "ALTER TABLE reports DROP CONSTRAINT not_empty",
        ),
    ):
        unknown = scene.cli("plan")
        unknown.refused(
            4,
            what=r"No rule proves that 5\.3\.0 can use this schema: .*policy\.compatible",
            now=r"5\.4\.0 still runs",
            next="--accept schema-unknown$",
        )
        scene.cli("record", "--state", "bad").ended(0)
        with scene.configured(
            lambda c: c + "\npolicy:\n  compatible:\n    - {version: 5.3.0, works_with_schema_of: 5.4.0}\n"
        ):
            done = scene.cli("plan").ended(0)
            assert "backout.yaml declares that 5.3.0 works with the schema of 5.4.0" in done.out


@pytest.mark.parametrize(("cause", "scenario"), [("data", "data"), ("both", "full")])
def test_damaged_data_names_a_scenario_and_chooses_none(looks, cause, scenario):
    for verb in (("plan",), ("run", "--yes")):
        done = looks.cli(*verb, "--cause", cause)
        done.refused(
            4,
            what=f"Scenario {scenario} is needed: .*loses what was written since",
            now="Nothing was changed",
            next=f"--scenario {scenario}$",
        )
        done = looks.cli(*verb, "--cause", cause, "--scenario", "code")
        done.refused(
            4,
            what=f"The cause given is {cause}.*does not repair the data",
            now=r"5\.4\.0 still runs",
            next="--accept data-stays-damaged$",
        )


def test_the_code_alone_goes_back_when_the_damage_to_data_is_accepted(scene):
    done = scene.cli(
        "run",
        "--to",
        GOOD,
        "--cause",
        "data",
        "--scenario",
        "code",
        "--accept",
        "data-stays-damaged",
        "--yes",
        "--json",
    ).ended(0)
    assert json.loads(done.out)["plan"]["accepted"] == ["data-stays-damaged"]
    scene.finished_well()
