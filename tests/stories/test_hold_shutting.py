"""An application that sets the read-only default off writes on during a hold: then nobody may connect, until it is let go."""

import re
import threading
from contextlib import contextmanager, suppress

import psycopg
import pytest

from backout.demo.releases import GOOD

pytestmark = pytest.mark.slow
OVERRIDE = "-c default_transaction_read_only=off"
WRITES = r"(\d+ rows were written|Have written and not committed)"
"""What commits is counted up to a second later; until then it is told as not committed."""
RIGHTS = (
    "SELECT datacl::text, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'collector'"
)
BILLER = (
    "CREATE ROLE biller LOGIN PASSWORD 'b1ll'",
    "GRANT biller TO collector",
    "REVOKE CONNECT ON DATABASE collector FROM PUBLIC",
    "GRANT CONNECT ON DATABASE collector TO biller",
)
BILLS = ("CREATE TABLE bills (at timestamptz DEFAULT now())", "GRANT INSERT ON bills TO biller")
NO_BILLER = (
    "DROP OWNED BY biller",
    "DROP ROLE biller",
    "GRANT CONNECT ON DATABASE collector TO PUBLIC",
)


@contextmanager
def billing(scene, user=None):
    """Let another application write into the database, and come back whenever it is thrown out."""
    stop, written = threading.Event(), []
    told = {"user": "biller", "password": "b1ll"} if user is None else {}
    url = scene.stage.database_url if user is None else user

    def go_on():
        while not stop.is_set():
            with (
                suppress(psycopg.Error),
                psycopg.connect(url, autocommit=True, options=OVERRIDE, **told) as client,
            ):
                while not stop.is_set():
                    client.execute("INSERT INTO bills DEFAULT VALUES")
                    written.append(1)
                    stop.wait(0.02)
            stop.wait(0.02)

    with (
        scene.sql(*BILLER, undo=NO_BILLER, superuser=True),
        scene.sql(*BILLS, undo=("DROP TABLE bills",)),
    ):
        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            scene.until(lambda: len(written) > 5)
            yield written
        finally:
            stop.set()
            thread.join()


def refused(scene):
    with pytest.raises(psycopg.OperationalError, match="does not have CONNECT"):
        psycopg.connect(scene.stage.database_url, user="biller", password="b1ll")
    return True


def writes_again(scene, written):
    count = len(written)
    scene.until(lambda: len(written) > count + 5)


def rights(scene):
    return scene.execute(RIGHTS, superuser=True)


def test_a_hold_stops_it_says_who_passes_and_is_undone_exactly(scene):
    with billing(scene) as written:
        before = rights(scene)
        done = scene.cli("hold", "--yes", "--reason", "billed twice").ended(0)
        assert re.search(rf"{WRITES}.* Taking CONNECT away", done.err)
        assert "superusers (postgres) pass, and backout's own role" in done.everything
        assert refused(scene) and rights(scene) != before
        scene.holds("database", "router")
        assert "database holds (refuse_connections)" in scene.cli("report").ended(0).out
        held = scene.cli("plan").ended(0).out
        assert "database holds already (refuse_connections)" in held
        # Once more changes nothing, and is no error.
        during = rights(scene)
        scene.cli("hold", "--yes").ended(0)
        assert rights(scene) == during
        scene.cli("release-hold").ended(0)
        assert rights(scene) == before
        writes_again(scene, written)
        scene.holds()


def test_a_superuser_that_writes_on_is_named_and_the_hold_is_not_proven(scene):
    with billing(scene, user=scene.stage.postgres.superuser_url.rpartition("/")[0] + "/collector"):
        before = rights(scene)
        scene.cli("hold", "--yes").refused(
            5,
            what=rf"Writes still arrive: {WRITES}",
            now=r"CONNECT is taken away, and yet something writes: superusers \(postgres\) pass.*"
            "Connected now: pid .* superuser postgres",
            next="pg_stat_activity",
        )
        assert refused(scene)
        scene.cli("release-hold").ended(0)
        assert rights(scene) == before


@pytest.mark.parametrize(
    ("fault", "then"),
    [
        ("hold.proof.shut.before", "hold"),
        ("database.shut.commit.before", "resume"),
        ("database.shut.after", "release-hold"),
        ("database.hold.end_sessions.before:2", "resume"),
        ("database.hold.end_sessions.after:2", "hold"),
        ("hold.proof.shut.after", "resume"),
    ],
)
def test_killed_while_it_takes_connect_away(scene, fault, then):
    with billing(scene) as written:
        before = rights(scene)
        assert scene.cli("hold", "--yes", env={"BACKOUT_FAULT": fault}).code == -9
        if then != "release-hold":
            scene.cli(*(("hold", "--yes") if then == "hold" else ("resume",))).ended(0)
            assert refused(scene)
            scene.cli("plan").ended(0)
        scene.cli("release-hold").ended(0)
        assert rights(scene) == before
        writes_again(scene, written)


def test_a_run_gives_it_back_and_an_abort_takes_it_again(scene):
    with billing(scene) as written:
        before = rights(scene)
        scene.cli("hold", "--yes").ended(0)
        during = rights(scene)
        with scene.start_that_hangs(GOOD, patience_s=1) as hang:
            scene.cli("run", "--yes").ended(5)
            assert rights(scene) == before, "many write while they start"
            hang.unlink()
            scene.end_hanging()
            scene.cli("abort", "--yes").ended(0)
        assert refused(scene) and rights(scene) == during
        scene.cli("run", "--yes").ended(0)
        scene.finished_well()
        assert rights(scene) == before
        writes_again(scene, written)


def test_a_role_that_is_known_to_write_on_is_stopped_by_a_run_that_holds_first(scene):
    with billing(scene) as written:
        scene.execute("ALTER ROLE biller SET default_transaction_read_only = off", superuser=True)
        before = rights(scene)
        died = scene.cli("run", "--hold-first", "--yes", env={"BACKOUT_FAULT": "process.stop.after"})
        assert died.code == -9
        assert refused(scene)
        scene.cli("resume").ended(0)
        scene.finished_well()
        assert rights(scene) == before
        writes_again(scene, written)
