"""The release to go back to: unknown, current, quarantined, too old, gone, changed, bad, never recorded."""

import shutil

import pytest

from backout.demo.releases import BAD, GOOD

pytestmark = pytest.mark.slow


def policy(text):
    return lambda config: config + f"\npolicy:\n{text}"


@pytest.mark.parametrize("verb", [("plan",), ("run", "--yes")])
def test_an_unknown_version_is_refused_and_near_ones_are_named(looks, verb):
    done = looks.cli(*verb, "--to", "5.3.1")
    done.refused(
        2, what=r"5\.3\.1.*Near: 5\.3\.0", now="Nothing was changed", next=r"^backout plan --to 5\.3\.0$"
    )


def test_an_unknown_version_as_json(looks):
    error = looks.cli("run", "--to", "9.9", "--yes", "--json").ended(2).json["error"]
    assert error["code"] == "unknown-version"
    assert error["exit_code"] == 2
    assert "9.9" in error["what"]
    assert error["state"] == "Nothing was changed."
    assert "None is near; the newest are 5.4.0, 5.3.0." in error["what"]
    assert error["next_command"] == "backout releases"


def test_a_target_that_is_current_and_proven_needs_only_the_proof(scene):
    scene.stage.deploy(GOOD)
    plan = scene.cli("plan", "--to", GOOD, "--json").ended(0).json["plan"]
    assert [step["spec"]["kind"] for step in plan["steps"]] == ["verify"]
    before = scene.state()
    told = scene.cli("plan", "--to", GOOD).ended(0).out
    assert told.startswith(f"Prove {GOOD}, which collector in production runs already\n")
    assert f"{GOOD} runs already: nothing is changed, it is only proven." in told
    done = scene.cli("run", "--to", GOOD, "--yes").ended(0)
    assert "proven" in done.out
    assert scene.state() == before


def test_a_target_that_is_current_and_was_never_recorded_needs_no_acceptance_for_nothing(scene):
    scene.stage.deploy(GOOD)
    forget_records(scene)
    plan = scene.cli("plan", "--to", GOOD, "--json").ended(0).json["plan"]
    assert [step["spec"]["kind"] for step in plan["steps"]] == ["verify"]
    assert "schema.unknown" not in [finding["rule"] for finding in plan["findings"]]


def test_a_plan_tells_the_command_that_carries_it_out(looks):
    told = looks.cli("plan", "--to", GOOD, "--hold-first", "--accept", "schema-unknown").ended(0).out
    assert told.endswith(f"next   backout run --to {GOOD} --hold-first --accept schema-unknown\n")


def test_a_release_that_was_backed_out_comes_back_only_by_name(scene):
    scene.cli("run", "--yes").ended(0)
    scene.finished_well()
    refused = scene.cli("run", "--to", BAD, "--yes")
    refused.refused(
        8,
        what=r"5\.4\.0 was backed out .*--accept quarantined",
        now=r"Nothing.*5\.3\.0 still runs",
        next=r"backout plan --to 5\.4\.0 --accept quarantined",
    )
    scene.finished_well()
    # That it never served well is a risk of its own, also named.
    asked = scene.cli(*refused.error["next"].split()[1:])
    asked.refused(
        4,
        what="No record says which schema",
        now="Nothing",
        next="--accept quarantined --accept schema-unknown$",
    )
    accepted = asked.error["next"].split()[4:]
    with scene.without_probes():
        # It goes where it was told to, and says that it is as bad as before.
        scene.cli("run", "--to", BAD, *accepted, "--yes").ended(6)
    assert scene.state()["version"] == BAD
    # Going forward again shuts nothing away: the good release is still the one to go back to.
    scene.cli("run", "--yes").ended(0)
    scene.finished_well()


def test_record_refuses_a_quarantined_version(scene):
    scene.cli("run", "--yes").ended(0)
    scene.stage.deploy(BAD)
    listed = scene.cli("releases", "--json").ended(0).json["rows"]
    done = scene.cli("record")
    done.refused(8, what=r"5\.4\.0", now="[Nn]othing was recorded", next="--accept quarantined")
    assert scene.cli("releases", "--json").json["rows"] == listed
    with scene.without_probes():
        done = scene.cli("record", "--accept", "quarantined").ended(6)
        assert f"recorded {BAD} as bad" in done.out


def test_a_target_below_the_security_floor_is_refused(looks):
    with looks.configured(policy("  min_version: 5.3.5\n")):
        done = looks.cli("run", "--to", GOOD, "--yes")
        done.refused(
            8,
            what=r"5\.3\.0 is below policy\.min_version 5\.3\.5.*--accept below-min-version",
            now=r"5\.4\.0 still runs",
            next="below-min-version",
        )
        looks.cli("plan", "--to", GOOD, "--accept", "below-min-version").ended(0)
        # Without a name there is nothing that is allowed.
        assert looks.cli("plan").code == 8


def test_a_target_whose_folder_is_gone(scene):
    before = scene.state()
    (scene.stage.root / "releases" / GOOD).rename(scene.stage.root / "gone")
    for verb in (("plan",), ("run", "--yes")):
        done = scene.cli(*verb, "--to", GOOD)
        done.refused(
            3,
            what=r"5\.3\.0 is known, but the platform cannot run it any more",
            now="Nothing was changed",
            next="backout releases",
        )
        scene.cli(*verb).refused(
            3, what="There is no earlier release of collector", now="Nothing", next="backout releases"
        )
    assert scene.state() == before
    (scene.stage.root / "gone").rename(scene.stage.root / "releases" / GOOD)


def test_a_target_that_was_changed_since_its_record(scene):
    before = scene.state()
    hotfix = scene.stage.root / "releases" / GOOD / "collector" / "hotfix.py"
    hotfix.write_text("# somebody was here\n")
    done = scene.cli("run", "--yes")
    done.refused(
        4,
        what=r"5\.3\.0 is not what was recorded.*--accept artefact-changed",
        now=r"5\.4\.0 still runs",
        next="--accept artefact-changed$",
    )
    assert scene.state() == before
    scene.cli("run", "--yes", "--accept", "artefact-changed").ended(0)
    scene.finished_well()
    hotfix.unlink()


def test_a_target_that_is_known_to_be_bad(scene):
    scene.stage.deploy(GOOD)
    done = scene.cli("run", "--to", BAD, "--yes")
    done.refused(
        8,
        what=r"5\.4\.0 is on record as bad.*--accept known-bad",
        now=r"5\.3\.0 still runs",
        next=r"backout plan --to 5\.4\.0 --accept known-bad",
    )
    assert scene.state()["version"] == GOOD


def forget_records(scene):
    shutil.rmtree(scene.stage.root / ".backout", ignore_errors=True)
    shutil.rmtree(scene.stage.directory / ".backout")


def test_without_a_record_the_schema_is_unknown_and_that_is_no_dead_end(scene):
    forget_records(scene)
    before = scene.state()
    shown = scene.cli("plan", "--to", GOOD)
    shown.refused(
        4,
        what=r"No record says which schema 5\.3\.0 served well on.*backout record.*--accept schema-unknown",
        now=r"5\.4\.0 still runs",
        next="--accept schema-unknown$",
    )
    assert "1  " in shown.out, "the plan is shown all the same"
    overview = scene.cli("--json").ended(0).json
    assert overview["safe"] == "unknown"
    assert overview["next_command"] == f"backout plan --to {GOOD}"
    assert scene.state() == before
    # The command that was told is the one that works.
    scene.cli(*shown.error["next"].split()[1:]).ended(0)
    scene.cli("run", "--to", GOOD, "--accept", "schema-unknown", "--yes").ended(0)
    scene.finished_well()


def test_without_any_record_the_last_release_is_found_by_the_platform(scene):
    forget_records(scene)
    listed = scene.cli("releases", "--json").ended(0).json["rows"]
    assert {row["release"]["version"]: row["release"]["source"] for row in listed} == {
        GOOD: "found",
        BAD: "found",
    }
    assert [row["release"]["version"] for row in listed if row["current"]] == [BAD]
    done = scene.cli("run", "--yes")
    done.refused(4, what=r"5\.3\.0", now=r"5\.4\.0 still runs", next=r"--to 5\.3\.0 --accept schema-unknown$")


def test_several_risks_are_accepted_one_after_the_other(scene):
    """Each command that is told keeps what was accepted before: following them comes to an end."""
    forget_records(scene)
    scene.cli("record", "--version", GOOD, "--state", "failed").ended(0)
    first = scene.cli("plan", "--to", GOOD).ended(
        8
    )  # Known to be bad; and on which schema it worked is not known.
    second = scene.cli(*first.error["next"].split()[1:]).ended(4)
    assert second.error["next"] == f"backout plan --to {GOOD} --accept known-bad --accept schema-unknown"
    scene.cli(*second.error["next"].split()[1:]).ended(0)
