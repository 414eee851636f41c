"""The service must stop at once; and it must let go exactly as it was before."""

import json
import subprocess
import urllib.error
import urllib.request
import uuid

import psycopg
import pytest

from backout.demo.clients import Clients
from backout.demo.releases import BAD, GOOD

pytestmark = pytest.mark.slow
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(scene, path="/health"):
    try:
        with OPENER.open(scene.stage.front_url + path, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def write(scene):
    row = (str(uuid.uuid4()), "acme-eu", "by hand")
    with psycopg.connect(scene.stage.database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO reports (id, tenant, body) VALUES (%s, %s, %s)", row)


def settings(scene):
    return scene.execute("SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting ORDER BY 1, 2")


def mode(scene):
    with OPENER.open(scene.stage.admin_url + "/state", timeout=5) as answer:
        return json.load(answer)["mode"]


def refuses(scene):
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        write(scene)
    return True


def test_a_hold_stops_requests_and_writes_and_is_undone_exactly(scene):
    before, state = settings(scene), scene.state()
    write(scene)
    done = scene.cli("hold", "--yes", "--reason", "orders are charged twice")
    done.ended(0)
    assert get(scene) == 503
    assert refuses(scene)
    psql = subprocess.run(
        ["psql", scene.stage.database_url, "-c", "DELETE FROM reports WHERE false"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "read-only transaction" in psql.stderr
    assert "No row was written" in done.everything or "no write" in done.everything.lower()
    overview = scene.holds("database", "router")
    assert overview["next_command"].startswith("backout ")
    # Once more changes nothing, and is no error.
    scene.cli("hold", "--yes").ended(0)
    assert get(scene) == 503
    scene.cli("release-hold", "--reason", "repaired").ended(0)
    assert settings(scene) == before
    assert scene.state() == state
    assert get(scene) == 200
    write(scene)
    scene.holds()
    # And once more.
    scene.cli("release-hold").ended(0)
    assert scene.state() == state
    assert "charged twice" in scene.cli("history", "--json").out


@pytest.mark.parametrize("value", ["off", "on"])
def test_a_setting_that_stood_before_stands_after(scene, value):
    with scene.sql(
        f"ALTER DATABASE collector SET default_transaction_read_only = {value}",
        "ALTER DATABASE collector SET statement_timeout = '77s'",
        "ALTER ROLE collector SET work_mem = '5MB'",
        undo=("ALTER DATABASE collector RESET ALL", "ALTER ROLE collector RESET ALL"),
        superuser=True,
    ):
        before = settings(scene)
        scene.cli("hold", "--yes").ended(0)
        assert refuses(scene)
        scene.cli("hold", "--yes").ended(0)
        scene.cli("release-hold").ended(0)
        assert settings(scene) == before


@pytest.mark.parametrize("by_hand", ["maintenance", "queue"])
def test_what_a_person_held_by_hand_is_let_go_too(scene, by_hand):
    scene.stage.set_front(by_hand)
    scene.holds("router")
    scene.cli("release-hold").ended(0)
    assert mode(scene) == "pass"
    scene.stage.set_front(by_hand)
    scene.cli("run", "--yes").ended(0)
    scene.finished_well()


def test_a_run_while_held_lets_go_at_its_end(scene):
    before = settings(scene)
    scene.cli("hold", "--yes").ended(0)
    plan = scene.cli("plan", "--json").ended(0).json["plan"]
    kinds = [step["spec"]["kind"] for step in plan["steps"]]
    assert kinds.count("hold.release") == 2
    scene.cli("run", "--yes").ended(0)
    scene.finished_well()
    assert settings(scene) == before
    assert get(scene) == 200


def test_a_run_that_holds_first(scene):
    before = settings(scene)
    done = scene.cli("run", "--hold-first", "--yes", "--json").ended(0)
    kinds = [step["spec"]["kind"] for step in done.json["plan"]["steps"]]
    assert kinds[:2] == ["hold", "hold"], kinds
    scene.finished_well()
    assert settings(scene) == before


def test_a_run_with_hold_first_can_be_undone(scene):
    before = settings(scene)
    with scene.start_that_hangs(GOOD, patience_s=1) as hang:
        done = scene.cli("run", "--hold-first", "--yes")
        done.refused(
            5,
            what="waiting for the licence server",
            now="holds?: requests do not reach the service",
            next="backout resume",
        )
        hang.unlink()
        scene.end_hanging()
        scene.cli("abort", "--yes").ended(0)
    state = scene.state()
    assert (state["version"], state["front"], state["takes_writes"]) == (BAD, "pass", True)
    assert settings(scene) == before


def test_clients_during_a_hold_get_503_and_lose_nothing(scene, tmp_path):
    clients = Clients(
        scene.stage.children, scene.stage.front_url, tmp_path / "requests.jsonl", bad_version=BAD
    )
    clients.start()
    try:
        scene.until(
            lambda: (
                (tmp_path / "requests.jsonl").exists() and (tmp_path / "requests.jsonl").stat().st_size > 1000
            )
        )
        scene.cli("hold", "--yes").ended(0)
        count = scene.execute("SELECT count(*) FROM reports")
        assert get(scene) == 503
        assert scene.execute("SELECT count(*) FROM reports") == count
        scene.cli("release-hold").ended(0)
        scene.until(lambda: scene.execute("SELECT count(*) FROM reports") > count)
    finally:
        clients.stop()
    assert len(clients.acknowledged()) > 10
    assert clients.rows_lost(scene.stage.database_url) == 0


def test_a_hold_with_nothing_that_answers(scene):
    with scene.configured(
        lambda c: c.replace(f"admin: {scene.stage.admin_url}", "admin: http://127.0.0.1:1")
    ):
        scene.stage.postgres.stop()
        try:
            done = scene.cli("hold", "--yes")
            done.refused(
                3,
                what=r"Nothing that can hold answers \(router, database\)",
                now="The service goes on as before",
                next="backout run --emergency --scenario code",
            )
        finally:
            scene.stage.postgres.start()


def router_silent(scene):
    return scene.configured(
        lambda c: c.replace(f"admin: {scene.stage.admin_url}", "admin: http://127.0.0.1:1")
    )


def test_what_held_and_does_not_answer_any_more_is_accepted_by_name(scene):
    with router_silent(scene):
        assert "Whether router holds cannot be told" in scene.cli("plan").ended(0).out
    scene.cli("hold", "--yes").ended(0)
    with router_silent(scene):
        scene.cli("run", "--yes").refused(
            4,
            what="router does not answer, and the journal says that it holds: .*may stay stopped.*release-hold",
            now=r"Nothing was changed; 5\.4\.0 still runs",
            next=r"^backout plan --to 5\.3\.0 --accept hold-unknown$",
        )
        assert scene.cli("--json").ended(0).json["safe"] == "unknown"
        scene.cli("plan", "--accept", "hold-unknown").ended(0)
        scene.cli("release-hold").refused(
            5, what="did not answer", now="router may still hold", next="backout resume"
        )
        scene.cli("run", "--yes").ended(4)  # A letting go that was not seen to let go.
    scene.cli("release-hold").ended(0)
    with router_silent(scene):
        assert "Whether router holds cannot be told" in scene.cli("plan").ended(0).out


def test_an_emergency_takes_the_risk_of_what_held_and_does_not_answer(scene):
    scene.cli("hold", "--yes").ended(0)
    with router_silent(scene):
        done = scene.cli("run", "--emergency", "--scenario", "code", "--reason", "fire", "--yes")
        assert done.code in (6, 9), done.everything
        assert "not looked at: " in done.err
    assert scene.stage.running_version() == GOOD
    scene.cli("release-hold").ended(0)
    scene.finished_well()


def test_a_hold_needs_a_yes(looks):
    looks.cli("hold").refused(
        4,
        what="Nobody can be asked here: collector in production stops: .*router, database",
        now="Nothing was changed",
        next="^backout hold --yes$",
    )


def states(scene):
    rows = scene.cli("releases", "--json").ended(0).json["rows"]
    return {row["release"]["version"]: row["release"]["state"] for row in rows}


def test_nobody_judges_a_release_while_it_is_held(scene):
    scene.stage.deploy(GOOD)
    scene.cli("record").ended(0)
    before = states(scene)
    scene.cli("hold", "--yes").ended(0)
    done = scene.cli("record").ended(9)
    assert "recorded 5.3.0 as good" in done.out
    assert "not judged: the checks would meet the hold (router, database)" in done.err
    assert "backout release-hold" in done.err
    assert sorted(scene.cli("record", "--json").ended(9).json["held"]) == ["database", "router"]
    scene.cli("verify").refused(
        9,
        what="5.3.0 cannot be judged while router, database hold",
        now="what is on record of 5.3.0 stays",
        next="^backout release-hold ",
    )
    assert states(scene) == before
    scene.cli("release-hold").ended(0)
    assert "recorded 5.3.0 as good" in scene.cli("record").ended(0).out
    scene.cli("verify").ended(0)


def test_only_what_was_left_out_is_left(scene):
    """The way back is named with its risk: it is no dead end."""
    scene.stage.deploy(GOOD)
    scene.cli("record", "--state", "bad").ended(0)
    scene.stage.deploy(BAD)
    scene.cli("record", "--state", "bad").ended(0)
    done = scene.cli("plan").refused(
        3,
        what=r"Every earlier release of collector .*is left out.*: 5\.3\.0 \(on record as bad\)",
        now="Nothing was changed",
        next=r"^backout plan --to 5\.3\.0 --accept known-bad$",
    )
    assert scene.cli(*done.error["next"].split()[1:]).code in (0, 4)


def test_what_a_run_holds_is_not_let_go_half_way(scene):
    assert scene.cli("run", "--yes", env={"BACKOUT_FAULT": "process.stop.after"}).code == -9
    assert mode(scene) == "queue"
    status = scene.cli("status").ended(5)
    assert "at step 04-process-stop; nobody acts on it now" in status.out
    scene.cli("release-hold").refused(
        3,
        what=r"Run run-\S+ .*waits at step 04-process-stop",
        now="changed nothing",
        next=r"^backout resume run-\S+ .*backout abort run-",
    )
    assert mode(scene) == "queue"
    # Stopping more of the harm is never refused.
    scene.cli("hold", "--yes").ended(0)
    scene.cli("release-hold").ended(3)
    scene.cli("resume").ended(6)  # Writes are refused by that hold, and nobody let it go.
    scene.cli("release-hold").ended(0)
    scene.finished_well()
