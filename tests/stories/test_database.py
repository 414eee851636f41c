"""The database's password expired, or the database is down: nothing is guessed, and the code can still go back."""

import re
from contextlib import contextmanager

import pytest

from backout.demo.releases import GOOD

pytestmark = pytest.mark.slow


@contextmanager
def database_down(scene):
    scene.stage.postgres.stop()
    try:
        yield
    finally:
        scene.stage.postgres.start()


@contextmanager
def password_expired(scene):
    password = scene.stage.database_url.split(":")[2].split("@")[0]
    with scene.sql(
        "ALTER ROLE collector PASSWORD 'rotated'",
        undo=(f"ALTER ROLE collector PASSWORD '{password}'",),
        superuser=True,
    ):
        yield


TROUBLE = {
    "database down": (database_down, "cannot be reached"),
    "password expired": (password_expired, "refused: .*authentication failed"),
}


@pytest.fixture(params=TROUBLE)
def trouble(request, scene):
    make, words = TROUBLE[request.param]
    with make(scene):
        yield scene, words


def test_without_the_database_nothing_is_guessed(trouble):
    scene, words = trouble
    plan = scene.cli("plan")
    plan.refused(
        4,
        what=f"schema could not be read: The database {words}.*--accept schema-unknown",
        now=r"5\.4\.0 still runs",
        next="--accept schema-unknown$",
    )
    overview = scene.cli("--json").ended(0).json
    assert overview["safe"] == "unknown"
    assert overview["unknown"]
    assert "unknown" in scene.cli().out
    doctor = scene.cli("doctor").ended(3)
    assert "FAIL  database" in doctor.out
    assert "→" in doctor.out
    lines = scene.cli("doctor", "--json").ended(3).json["lines"]
    assert all(line["remedy"] for line in lines if line["ok"] is False), lines
    assert scene.cli("releases").code == 0


def patient(seconds):
    return lambda config: config.replace("  pid_file:", f"  start_timeout_s: {seconds}\n  pid_file:", 1)


def no_ready_url(config):
    return re.sub(r"  ready_url: .*\n", "", config)


@pytest.mark.parametrize("name", TROUBLE)
def test_a_release_that_needs_the_database_stops_the_run_until_it_is_back(scene, name):
    make, _ = TROUBLE[name]
    with scene.configured(patient(2)):
        with make(scene):
            done = scene.cli("run", "--accept", "schema-unknown", "--yes")
            done.refused(
                5,
                what=r"5\.3\.0 runs; .*/health is not ready: HTTP 503.*last lines of .*collector\.log.*without a database",
                now="5 of 8 steps are done; router still holds: requests do not reach the service. .*backout abort run-",
                next="^backout resume run-",
            )
            overview = scene.holds("router")
            assert overview["next_command"] == done.error["next"]
        scene.until(lambda: scene.stage.running_version() == GOOD)
        scene.cli(*done.error["next"].split()[1:]).ended(0)
    scene.finished_well()


@pytest.mark.parametrize("name", TROUBLE)
def test_the_code_goes_back_without_the_database_but_nothing_is_claimed(scene, name):
    make, _ = TROUBLE[name]
    with scene.configured(no_ready_url), scene.without_probes():
        with make(scene):
            done = scene.cli("run", "--accept", "schema-unknown", "--yes", "--json").ended(6)
            results = [(r["name"], r["outcome"]) for r in done.json["verification"]["results"]]
            assert ("health", "fail") in results, results
            assert ("no report without a tenant", "inconclusive") in results, results
            assert scene.cli("status").code == 6
            assert scene.cli("verify").code == 6
        scene.until(lambda: scene.stage.running_version() == GOOD)
        # Later, with the database back: what was not proven can be proven.
        assert scene.cli("verify").code in (0, 9)
    scene.cli("verify").ended(0)
    scene.finished_well()


def test_a_hold_without_the_database_holds_what_answers_and_claims_no_proof(trouble):
    scene, words = trouble
    done = scene.cli("hold", "--yes", "--reason", "x")
    done.refused(
        5,
        what=f"The database {words}",
        now="router still holds: requests do not reach the service",
        next="^backout resume run-",
    )
    scene.holds("router")
    # What is held lets go all the same, and the hold that never came to its end keeps nobody from going back.
    scene.cli("release-hold").ended(0)
    overview = scene.cli("--json").ended(0).json
    assert (overview["held"], overview["acting"]) == ([], None)
    scene.cli("resume").ended(2)
