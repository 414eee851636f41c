"""The database's password expired, or the database is down: nothing is guessed, and the code can still go back."""

from contextlib import contextmanager

import pytest

from backout.demo.releases import BAD, GOOD

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
    plan.refused(4, what=f"schema could not be read: The database {words}.*--accept schema-unknown", now=r"5\.4\.0 still runs", next="--accept schema-unknown$")
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


def test_the_code_goes_back_without_the_database_and_the_proof_is_honest(trouble):
    scene, _ = trouble
    done = scene.cli("run", "--accept", "schema-unknown", "--yes")
    assert done.code in (5, 6, 9), done.everything
    assert (scene.stage.root / "current").readlink().name in (GOOD, BAD)
    if done.code == 5:  # The good release itself needs the database to start.
        assert "resume" in done.error["next"]
        pytest.fail(done.everything)


def test_a_hold_without_the_database_says_so(trouble):
    scene, words = trouble
    done = scene.cli("hold", "--yes", "--reason", "x")
    print(done.code, done.everything)
    assert done.code in (5, 6, 7, 9)
