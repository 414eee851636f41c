"""The demo's stage: real service, real database, real clients."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid

import psutil
import psycopg
import pytest

from backout.config.load import load_config
from backout.demo.clients import Clients
from backout.demo.releases import BAD, GOOD
from backout.demo.stage import Stage
from backout.errors import NotPossible

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Stage(tmp_path_factory.mktemp("stage") / "stage") as made:
        made.deploy(GOOD)
        yield made


@pytest.fixture
def stage(shared):
    """The stage with the good release running and requests let through."""
    shared.set_front("pass")
    if shared.running_version() != GOOD:
        shared.deploy(GOOD)
    return shared


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.getheader("X-Collector-Version")
    finally:
        connection.close()


def report(tenant="acme-eu", report_id=None):
    return json.dumps({"id": report_id or str(uuid.uuid4()), "tenant": tenant, "body": "text"})


def rows(stage, query, *values):
    with psycopg.connect(stage.database_url) as connection:
        return connection.execute(query, values).fetchall()


def until(reached, within_s=10):
    deadline = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def clients(stage, tmp_path, **more):
    return Clients(stage.children, stage.front_url, tmp_path / "requests.jsonl", bad_version=BAD, **more)


def test_health_says_exactly_what_was_agreed(stage):
    status, body, version = ask(stage.front_port, "GET", "/health")
    assert (status, body, version) == (
        200,
        '{"status":"ok","service":"collector","database":"connected"}',
        GOOD,
    )


def test_a_report_is_kept_once_however_often_it_is_sent(stage):
    report_id = str(uuid.uuid4())
    for _ in range(3):
        assert ask(stage.front_port, "POST", "/reports", report(report_id=report_id))[0] == 201
    assert rows(stage, "SELECT count(*) FROM reports WHERE id = %s", report_id) == [(1,)]
    _, body, _ = ask(stage.front_port, "GET", "/reports?tenant=acme-eu&limit=1")
    assert json.loads(body)["reports"][0]["id"] == report_id


def test_a_queue_loses_no_request_while_the_release_is_switched(stage, tmp_path):
    load = clients(stage, tmp_path)
    with load:
        load.mark("begin")
        until(lambda: load.summary("begin", settle=False).requests_sent > 200)
        for _ in range(3):
            stage.set_front("queue")
            stage.deploy(GOOD)
            stage.set_front("pass")
        sent = load.summary("begin", settle=False).requests_sent
        until(lambda: load.summary("begin", settle=False).requests_sent > sent + 200)
        load.mark("end")
        summary = load.summary("begin", "end")
    assert summary.requests_failed == 0, summary.failures
    assert summary.answered_by == {GOOD: summary.requests_sent}
    assert summary.longest_request_seconds < 5
    assert load.rows_lost(stage.database_url) == 0
    assert len(load.acknowledged()) > 100


def test_a_restart_without_a_queue_does_lose_requests_and_the_clients_notice(stage, tmp_path):
    load = clients(stage, tmp_path)
    with load:
        load.mark("begin")
        until(lambda: load.summary("begin", settle=False).requests_sent > 100)
        stage.deploy(GOOD)
        summary = load.summary("begin")
    assert summary.requests_failed > 0
    assert set(summary.failures) <= {"status 502 from the front"}
    assert load.rows_lost(stage.database_url) == 0


def test_a_lost_row_is_counted(stage, tmp_path):
    load = clients(stage, tmp_path)
    with load:
        until(lambda: len(load.acknowledged()) > 10)
    victim = sorted(load.acknowledged())[0]
    rows(stage, "DELETE FROM reports WHERE id = %s RETURNING 1", victim)
    assert load.rows_lost(stage.database_url) == 1


def test_the_bad_release_fails_some_tenants_reads_slowly_and_only_adds_to_the_schema(stage):
    before = stage.state()
    stage.deploy(BAD)
    try:
        assert ask(stage.front_port, "POST", "/reports", report("acme-eu"))[0] == 201
        status, _, version = ask(stage.front_port, "POST", "/reports", report("umbrella"))
        assert (status, version) == (500, BAD)
        started = time.monotonic()
        assert ask(stage.front_port, "GET", "/reports?tenant=acme-eu")[0] == 200
        assert time.monotonic() - started > 0.25
        after = stage.state()
        assert set(before["schema"]) <= set(after["schema"])
        assert "public.reports.source" in after["schema"]
        stage.deploy(GOOD)
        assert ask(stage.front_port, "POST", "/reports", report("umbrella"))[0] == 201
    finally:
        stage.deploy(GOOD)


def test_the_smoke_check_knows_the_two_releases_apart(stage):
    smoke = [str(stage.directory / "bin" / "smoke")]
    passed = subprocess.run(smoke, capture_output=True, text=True, timeout=30, check=False)
    assert (passed.returncode, passed.stdout) == (0, "one report sent and read back\n")
    stage.deploy(BAD)
    try:
        failed = subprocess.run(smoke, capture_output=True, text=True, timeout=30, check=False)
    finally:
        stage.deploy(GOOD)
    assert failed.returncode != 0


def test_the_service_comes_back_with_its_database_by_itself(stage):
    stage.postgres.stop()
    assert ask(stage.port, "GET", "/health")[:2] == (
        503,
        '{"status":"error","service":"collector","database":"unreachable"}',
    )
    stage.postgres.start()
    until(lambda: ask(stage.port, "GET", "/health")[0] == 200)
    assert [ask(stage.port, "POST", "/reports", report())[0] for _ in range(20)] == [201] * 20


def test_writes_that_the_database_refuses_are_503_and_pass_at_once_when_it_lets_them(stage):
    with psycopg.connect(stage.postgres.superuser_url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE collector SET default_transaction_read_only = on")
        end_sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'collector'"
        connection.execute(end_sessions)
        try:
            assert ask(stage.port, "POST", "/reports", report())[0] == 503
            assert ask(stage.port, "GET", "/health")[0] == 200
            stage.deploy(GOOD)  # A release that needs no migration starts in spite of it.
            assert not stage.state()["takes_writes"]
        finally:
            connection.execute("ALTER DATABASE collector RESET default_transaction_read_only")
    assert [ask(stage.port, "POST", "/reports", report())[0] for _ in range(20)] == [201] * 20


def test_the_fronts_mode_outlives_its_death(stage):
    stage.set_front("maintenance")
    stage.restart_front(signal.SIGKILL)
    assert stage.state()["front"] == "maintenance"
    assert ask(stage.front_port, "GET", "/health")[0] == 503


def test_reset_brings_the_bad_release_back_from_any_mess(stage):
    (stage.directory / ".backout").mkdir(exist_ok=True)
    (stage.directory / ".backout" / "journal").write_text("as recorded")
    stage.deploy(BAD)
    stage.snapshot()
    wanted = stage.state()
    try:
        stage.deploy(GOOD)
        (stage.directory / ".backout" / "journal").write_text("after a run")
        (stage.root / ".backout").mkdir()
        stage.set_front("queue")
        stray = stage.collectors()[0]
        stage.pid_file.unlink()  # A process that no pid file knows, and nothing at the link's end.
        (stage.root / "current").unlink()
        started = time.monotonic()
        stage.reset()
        assert time.monotonic() - started < 3
        assert stage.state() == wanted
        assert (wanted["link"], wanted["version"], wanted["processes"]) == (BAD, BAD, 1)
        assert wanted["pid_file_is_right"]
        assert (stage.directory / ".backout" / "journal").read_text() == "as recorded"
        assert not (stage.root / ".backout").exists()
        assert not stray.is_running() or stray.status() == psutil.STATUS_ZOMBIE
    finally:
        stage.deploy(GOOD)


def test_a_deploy_that_fails_says_why(stage):
    with pytest.raises(NotPossible, match=r"9\.9\.9"):
        stage.deploy("9.9.9")
    assert stage.running_version() == GOOD


def test_its_configuration_is_understood(stage):
    loaded = load_config(stage.config, stage.environ())
    assert loaded.config.service == "collector"
    kinds = [check.kind for check in loaded.config.checks]
    assert kinds == ["http", "probes", "command", "sql"]


def test_what_holds_the_password_is_closed_to_others(stage):
    assert (stage.root / "shared" / "env").stat().st_mode & 0o777 == 0o600
    password = stage.database_url.split(":")[2].split("@")[0]
    assert password not in stage.config.read_text()
    commands = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert password not in commands


OWNER = """
import os, sys
from pathlib import Path
from backout.demo.stage import Stage
stage = Stage(Path(sys.argv[1]))
try:
    stage.start()
    stage.deploy("5.3.0")
    pids = [process.pid for process in stage.collectors()]
    print(*pids, stage.children.pid("postgres"), stage.children.pid("front"), flush=True)
    {end}
finally:
    stage.close()
"""


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("os.kill(os.getpid(), 2)", -signal.SIGINT),
        ("os.kill(os.getpid(), 9)", -signal.SIGKILL),
    ],
    ids=["normal", "error", "ctrl-c", "killed"],
)
def test_nothing_is_left_however_it_ends(tmp_path, end, status):
    argv = [sys.executable, "-c", OWNER.format(end=end), str(tmp_path / "stage")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))
    assert done.returncode == status, done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 3

    def alive(pid):
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    if status != -signal.SIGKILL:
        assert not any(map(alive, pids)), "left behind after an orderly end"
    until(lambda: not any(map(alive, pids)))


def test_what_is_slow_is_declared_by_what_is_normal_here(stage):
    before = stage.config.read_text()
    stage.limit_p95(3.0)
    assert stage.config.read_text() == before, "a quick machine: what is declared stands"
    stage.limit_p95(120.4)
    assert "    max_p95_ms: 602\n" in stage.config.read_text()
    stage.config.write_text(before)
