"""Data is damaged: a person finds the backup to go back to, goes back, and can still change their mind."""

import json
import re
import shutil
import time

import psycopg
import pytest

from backout.demo.releases import BAD, GOOD
from backout.demo.stage import Stage

from .conftest import _PROBES, Scene

pytestmark = pytest.mark.slow
INSERT = "INSERT INTO reports (id, tenant, body) VALUES (gen_random_uuid(), %s, 'x')"


@pytest.fixture
def good(tmp_path, require_service):
    """The good release, and three rows."""
    require_service("postgres")
    with Stage(tmp_path / "stage", fsync=False) as stage:
        text = stage.config.read_text()
        for old, new in _PROBES.items():
            text = text.replace(old, new)
        stage.config.write_text(text)
        stage.deploy(GOOD)
        write(stage, "a", "b", "c")
        yield Scene(stage)


@pytest.fixture
def damaged(good):
    """A backup of these rows, the bad release, a row written since, and every tenant emptied."""
    stage = good.stage
    good.cli("record").ended(0)
    good.cli("backup", "create").ended(0)
    stage.deploy(BAD)
    good.cli("record", "--state", "bad").ended(0)
    write(stage, "since")
    with psycopg.connect(stage.database_url, autocommit=True) as live:
        live.execute("UPDATE reports SET tenant = '' WHERE tenant <> 'since' AND tenant NOT LIKE 'smoke%'")
        live.execute("ANALYZE")
    return good


def write(stage, *tenants):
    with psycopg.connect(stage.database_url, autocommit=True) as live:
        live.cursor().executemany(INSERT, [(tenant,) for tenant in tenants])


def tenants(scene):
    """The tenants that a person wrote; the checks write some of their own."""
    rows = scene.execute("SELECT tenant FROM reports WHERE tenant NOT LIKE 'smoke%' ORDER BY 1")
    return [row[0] for row in rows]


def backup_names(scene):
    return [b["backup"]["name"] for b in scene.cli("backup", "list", "--json").ended(0).json["backups"]]


def kept_names(scene):
    return [d["name"] for d in scene.cli("backup", "list", "--json").ended(0).json["beside"]]


def test_code_and_data_go_back_and_the_person_changes_their_mind(damaged):
    tenants_now = damaged.execute("SELECT count(DISTINCT tenant) FROM reports")[0][0]
    with damaged.configured(
        lambda c: c.replace("\nrestore:\n", "\nrestore:\n  queues: [public.outbox]\n", 1)
    ):
        plan = damaged.cli("plan", "--scenario", "full").ended(0).out
    assert f"Tenants affected: {tenants_now}." in plan and "sent twice: public.outbox" in plan
    assert re.search(
        r"rows by table +now +in the backup\n(?:.*\n)*? +public\.reports +about \d+ +\d+\n", plan
    )
    done = damaged.cli("run", "--scenario", "full", "--yes").ended(0)
    assert "data back to collector_" in done.err
    assert tenants(damaged) == ["a", "b", "c"]
    run = json.loads(damaged.cli("status", "--json").ended(0).out)["id"]
    told = damaged.cli("status").ended(0).out
    assert re.search(r"collector_before_\S+ \(\d+\.\d MB\): was live until .*, kept for 2 d more", told)
    assert f"backout abort {run}" in told and "backout data diff" in told
    report = damaged.cli("report", run).ended(0).out
    counted = re.search(r"public\.reports`? *\| *(\d+) *\| *(\d+) *\|", report)
    assert counted and int(counted[1]) - int(counted[2]) == 1, "rows before and after are in the report"
    write(damaged.stage, "after")
    damaged.cli("abort", run, "--yes").ended(0)
    assert tenants(damaged) == ["", "", "", "since"]
    assert damaged.stage.running_version() == BAD
    (other,) = kept_names(damaged)
    with psycopg.connect(damaged.stage.database_url, dbname=other) as beside:
        found = beside.execute("SELECT count(*) FROM reports WHERE tenant = 'after'").fetchone()
    assert other.startswith("collector_restored_") and found == (1,), "what was written meanwhile is not lost"


def test_tenants_that_cannot_be_counted_are_told_with_the_reason(damaged):
    def told():
        plan = damaged.cli("plan", "--scenario", "full").ended(0).out
        (reason,) = re.findall(r"How many tenants are affected is not known \((.*?)\)\.", plan)
        return reason

    with damaged.configured(lambda c: c.replace("public.reports.tenant", "public.reports.customer")):
        assert 'column "customer" does not exist' in told()
        runbook = damaged.cli("plan", "--scenario", "full", "--format", "md").ended(0).out
        assert f"- **Tenants affected:** not known: {told()}" in runbook.replace("\\", "")
    role = damaged.execute("SELECT current_user")[0][0]
    with damaged.sql(f"REVOKE SELECT ON reports FROM {role}", undo=(f"GRANT SELECT ON reports TO {role}",)):
        assert "permission denied for table reports" in told()
    with psycopg.connect(damaged.stage.database_url) as busy:
        busy.execute("LOCK TABLE reports IN ACCESS EXCLUSIVE MODE")
        assert "timeout" in told()


def test_how_long_a_hold_that_comes_first_is_at_least_is_told_by_what_was_read_and_restored_before(damaged):
    def held():
        plan = damaged.cli("plan", "--scenario", "full", "--hold-first").ended(0).out
        return re.search(r"downtime +requests are held: (.*)", plan)[1]

    assert held().startswith("not measured.")
    damaged.cli("backup", "verify").ended(0)
    assert re.match(
        r"at least \S+ m?s \(reading it alone takes that; its restore was not measured yet\)\.", held()
    )
    damaged.cli("backup", "restore").ended(0)
    assert re.match(r"at least \S+ m?s \(so long restoring it by hand took \d{4}-.* UTC\)\.", held())


def test_what_stands_prepared_is_not_restored_again_and_a_ceiling_holds(damaged):
    damaged.cli("backup", "restore", "--prepare").ended(0)
    (prepared,) = kept_names(damaged)
    assert "[0 s (it stands restored already)]" in damaged.cli("plan", "--scenario", "full").ended(0).out
    write(damaged.stage, "one", "two", "three")
    damaged.execute("CREATE PUBLICATION since_then FOR TABLE reports")
    damaged.cli("run", "--scenario", "full", "--max-loss", "2", "--yes").refused(
        4,
        what="5 rows would stay behind, and 2 were approved",
        now="Nothing was swapped",
        next="backout abort",
    )  # Four reports, and what the bad release's migration noted.
    assert tenants(damaged) == ["", "", "", "one", "since", "three", "two"]
    damaged.cli("abort", "--yes").ended(0)
    assert kept_names(damaged) == [prepared], "an abort does not drop what was there before the run"
    damaged.cli("run", "--scenario", "full", "--max-loss", "5", "--yes").ended(0)
    run = json.loads(damaged.cli("status", "--json").ended(0).out)
    steps = {s["key"][3:]: s for s in run["steps"]}
    assert steps["restore-beside"]["already"]
    assert "seen when it was prepared" in str(steps["restore-check"]["receipt"])
    assert damaged.execute("SELECT pubname FROM pg_publication_tables") == [("since_then",)]
    assert tenants(damaged) == ["a", "b", "c"]


def test_a_damaged_backup_and_one_from_after_the_damage_are_passed_over_by_name(damaged):
    (good,) = backup_names(damaged)
    damaged.cli("backup", "create").ended(0)
    late = backup_names(damaged)[0]
    folder = damaged.stage.directory / "backups"
    broken = "collector_pre_5.4.0.sql.gz"
    (folder / broken).write_bytes(b"\x1f\x8b\x08\x00cut off")
    told = damaged.cli("backup", "verify", broken).ended(3).out
    assert "CANNOT be restored" in told
    plan = damaged.cli("plan", "--scenario", "full").ended(0).out
    assert f"({good})" in plan and f"{late}: it was taken after the bad release" in plan
    shutil.rmtree(folder / good)
    damaged.cli("plan", "--scenario", "full").refused(
        3,
        what=f"No backup from before .*{late}: it was taken after",
        now="Nothing was changed",
        next="backup list",
    )
    named = damaged.cli("plan", "--scenario", "full", "--backup", late).ended(0).out
    assert "may already hold the damage" in named
    assert tenants(damaged) == ["", "", "", "since"]


def test_a_backup_made_before_the_bad_release_is_recorded_neither_removes_nor_replaces_the_one_from_before_it(
    good,
):
    good.cli("record").ended(0)
    good.cli("backup", "create").ended(0)
    (before,) = backup_names(good)
    good.stage.deploy(BAD)
    good.execute("UPDATE reports SET tenant = '' WHERE tenant NOT LIKE 'smoke%'")
    another_second(good)
    good.cli("backup", "create", "--keep", "1").ended(0)
    (late, kept) = backup_names(good)
    assert kept == before
    listed = good.cli("backup", "list").ended(0).out
    assert f"kept for the way back from {BAD}, which is not recorded yet" in listed
    good.cli("record", "--state", "bad").ended(0)
    another_second(good)
    good.cli("backup", "create", "--keep", "1").ended(0)
    plan = good.cli("plan", "--scenario", "full").ended(0).out
    assert f"({before})" in plan and f"{late}: it was taken while {BAD} ran" in plan


def another_second(scene):
    """Wait until a backup gets another name: it is named by the second."""
    second = int(time.time())
    scene.until(lambda: int(time.time()) != second)


def test_a_backup_from_between_a_migration_and_the_record_of_its_release_is_passed_over_and_the_fitting_one_is_kept(
    good,
):
    """A migration that only rewrites rows is in no schema: where the migrations stood tells."""
    good.execute("CREATE TABLE alembic_version (version_num text)")
    good.execute("INSERT INTO alembic_version VALUES ('a1')")
    good.cli("record").ended(0)
    good.cli("backup", "create").ended(0)
    good.execute("UPDATE alembic_version SET version_num = 'b2'")
    good.execute("UPDATE reports SET tenant = '' WHERE tenant NOT LIKE 'smoke%'")
    another_second(good)
    good.cli("backup", "create").ended(0)
    between, fitting = backup_names(good)
    good.stage.deploy(BAD)
    good.cli("record", "--state", "bad").ended(0)
    another_second(good)
    good.cli("backup", "create", "--keep", "1").ended(0)
    assert backup_names(good)[1:] == [between, fitting], "both are pinned"
    plan = good.cli("plan", "--scenario", "full").ended(0).out
    assert f"({fitting})" in plan and f"{between}: it stands at migration alembic:b2" in plan
    good.cli("run", "--scenario", "full", "--yes").ended(0)
    assert tenants(good) == ["a", "b", "c"]
    good.cli("verify").ended(0)
    good.cli("plan", "--scenario", "full", "--to", GOOD, "--backup", between).ended(0)
