"""A database that cannot be renamed: the service is switched to the restored one, and back; never are both written.

All of it on one server, and with another server that backups are restored on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.command_line import Done

from backout.demo.clients import Clients
from backout.demo.releases import BAD, GOOD

from .switching import COMMAND, RESTORED, Switched, as_it_was, switched_stage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[False, True], ids=["one server", "two servers"])
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, require_service: Any
) -> Iterator[Switched]:
    require_service("postgres")
    with switched_stage(tmp_path_factory.mktemp("switch"), two=request.param) as switched:
        yield switched


@pytest.fixture
def switched(made: Switched) -> Iterator[Switched]:
    with as_it_was(made) as switched:
        yield switched


def test_the_service_is_switched_and_the_person_changes_their_mind(switched: Switched) -> None:
    plan = switched.cli("plan", "--scenario", "full").ended(0).out
    assert re.search(
        r"the service uses collector_restored_\S+ instead of collector, by your own command", plan
    )
    runbook = switched.cli("plan", "--scenario", "full", "--format", "md").ended(0).out
    assert "BACKOUT_DATABASE_FROM=collector BACKOUT_DATABASE_TO=collector_restored_" in runbook
    if switched.other is not None:
        port = switched.other.port
        assert re.search(rf"Restore \S+ on 127\.0\.0\.1:{port}, as collector_restored_", plan)
        assert f"createdb -h 127.0.0.1 -p {port} -T template0 collector_restored_" in runbook
        assert f"BACKOUT_HOST_TO=127.0.0.1 BACKOUT_PORT_TO={port} " in runbook
    switched.run().ended(0)
    switched.is_back()
    run = json.loads(switched.cli("status", "--json").ended(0).out)["id"]
    told = switched.cli("status").ended(0).out
    assert re.search(r"collector \(\d+\.\d MB\): was live until .*, kept for 2 d more", told)
    diff = switched.cli("data", "diff", "--table", "reports", "--json").ended(0).json
    assert diff["kept"] == "collector" and diff["tables"][0]["inserted"] == 1
    switched.cli("data", "bring", "reports", "--where", "tenant = 'since'", "--yes").ended(0)
    assert switched.tenants() == [*RESTORED, "since"]
    report = switched.cli("report", run).ended(0).out
    assert "the service switched to it" in report and "Nobody could write for" in report
    switched.write("after")
    restored = switched.used()
    switched.cli("abort", run, "--yes").ended(0)
    switched.is_as_before()
    assert switched.writable() == ["collector"] and switched.beside() == {restored: "kept"}
    assert "after" in switched.tenants(restored), "what was written meanwhile is not lost"


def test_where_the_other_server_is_down_nothing_is_begun(made: Switched, switched: Switched) -> None:
    """And nothing else waits for it: there is nothing of the service on it."""
    if switched.other is None:
        assert all("server" not in b for b in switched.beside())
        return
    switched.other.stop()
    try:
        switched.cli("plan", "--scenario", "full").refused(
            3, what="cannot be reached.*refused", now="Nothing", next="doctor"
        )
        lines = [d for d in switched.cli("doctor", "--json").json["lines"] if d["ok"] is False]
        assert f"127.0.0.1:{switched.other.port}" in str([d["evidence"] for d in lines])
        switched.cli("plan").ended(0)
    finally:
        switched.other.start()


def test_the_next_backup_and_the_next_way_back_are_of_the_database_in_use(switched: Switched) -> None:
    switched.run().ended(0)
    first = switched.used()
    switched.cli("backup", "create").ended(0)
    newest = switched.cli("backup", "list", "--json").json["backups"][0]["backup"]["name"]
    switched.write("bad again")
    switched.cli("run", "--scenario", "data", "--backup", newest, "--yes").ended(0)
    second = switched.used()
    assert second not in (first, "collector") and re.fullmatch(r"collector_restored_\d{8}_\d{6}", second)
    assert switched.tenants() == RESTORED and switched.writable() == [second]
    assert switched.beside() == {"collector": "kept", first: "kept"}
    switched.cli("backup", "drop", "collector", "--yes").ended(0)
    assert switched.beside() == {first: "kept"}
    switched.cli("backup", "drop", second, "--yes").refused(
        2, what=r"no database collector_restored_\S+ beside the live one", now="Nothing", next="backup list"
    )


@pytest.mark.parametrize("fault", [None, "switch.begin.after", "switch.run.after"])
def test_clients_write_all_the_time_and_nothing_is_lost(
    switched: Switched, tmp_path: Path, fault: str | None
) -> None:
    """Also where it is killed before your command told the service, or right after, and resumed."""
    stage = switched.scene.stage
    clients = Clients(
        stage.children,
        stage.front_url,
        tmp_path / "requests.jsonl",
        bad_version=BAD,
        per_second=60,
        workers=8,
    )
    with clients:
        switched.scene.until(lambda: len(clients.acknowledged()) > 20)
        clients.mark("run")
        if fault is None:
            switched.run("--max-loss", "1000000").ended(0)
        else:
            assert switched.run("--max-loss", "1000000", env={"BACKOUT_FAULT": fault}).code == -9
            switched.cli("resume").ended(0)
        assert switched.writable() == [switched.used()]
        at = len(clients.acknowledged())
        switched.scene.until(lambda: len(clients.acknowledged()) > at + 20)
        seen = clients.summary("run")
    assert clients.missing(switched.url("collector"), switched.url(switched.used())) == set()
    assert seen.requests_failed == 0, seen
    with (
        psycopg.connect(switched.url("collector")) as kept,
        psycopg.connect(switched.url(switched.used())) as live,
    ):
        ids = [
            {r[0] for r in side.execute("SELECT id FROM reports WHERE body <> 'x'")} for side in (kept, live)
        ]
    assert not ids[0] & ids[1], "rows written since are on both sides"


FAULTS = (
    "switch.before",
    "switch.begin.before",
    "database.hold.set.after",
    "switch.sequences.after",
    "switch.begin.after",
    "switch.run.before",
    "switch.run.after",
    "switch.end.before",
    "switch.end.between",
    "switch.end.others",
    "switch.end.after",
    "switch.after",
)
"""One is gone on from, the next one undone; `make crash` does both at every point."""


@pytest.mark.parametrize(("fault", "then"), [*zip(FAULTS, cycle(("resume", "abort")), strict=False)])
def test_a_kill_anywhere_ends_with_one_database_that_is_written(
    switched: Switched, fault: str, then: str
) -> None:
    assert switched.run(env={"BACKOUT_FAULT": fault}).code == -9
    assert len([name for name in switched.writable() if name == switched.used()]) <= 1
    switched.cli(then, *(["--yes"] if then == "abort" else [])).ended(0)
    if then == "resume":
        switched.is_back()
        assert switched.switches == 1
    else:
        switched.is_as_before()
        assert "collector_restored" not in str([n for n in switched.writable() if n != "collector"])


def test_after_a_kill_requests_and_writes_can_be_let_through_at_once(switched: Switched) -> None:
    switched.run(env={"BACKOUT_FAULT": "switch.begin.after"})
    assert "collector" not in switched.writable()
    assert re.search(
        r"Nobody can write into collector: the switch to collector_res\S+", switched.cli("status").out
    )
    switched.cli("release-hold").ended(0)
    assert "collector" in switched.writable()
    switched.cli("resume").ended(0)
    switched.is_back()


def test_a_command_that_fails_leaves_the_old_database_written_and_can_be_run_again(
    switched: Switched,
) -> None:
    switched.flag("fail").touch()
    switched.run().refused(
        5, what="still uses collector.*the vault is sealed", now="takes writes", next="resume"
    )
    assert "collector" in switched.writable() and switched.used() == "collector"
    switched.flag("fail").unlink()
    switched.cli("resume").ended(0)
    switched.is_back()
    assert switched.switches == 2


def test_a_command_that_hangs_is_not_ended_and_not_started_twice(switched: Switched) -> None:
    switched.flag("hang").touch()
    with switched.scene.configured(lambda c: c.replace("timeout_s: 30", "timeout_s: 1")):
        switched.run().refused(5, what="still runs after 1 s", now="refuses writes", next="resume")
        switched.flag("hang").unlink()
        switched.cli("resume").ended(0)
    switched.is_back()
    assert switched.switches == 1


def ended_unknown(switched: Switched) -> Done:
    """Let a run end while the probe cannot tell what the command did."""
    switched.flag("hang").touch()
    running = switched.cli.start("run", "--scenario", "full", "--yes")
    switched.scene.until(lambda: switched.switches == 1)
    switched.flag("unsure").touch()
    switched.flag("hang").unlink()
    done = switched.cli.finish(running)
    assert done.code == 7 and "the vault does not answer" in done.err, done
    return done


def test_what_the_probe_cannot_tell_is_unknown(switched: Switched) -> None:
    plan = switched.flag("plan.json")
    switched.cli("plan", "--scenario", "full", "-o", str(plan)).ended(0)
    switched.flag("unsure").touch()
    switched.cli("plan", "--scenario", "full").refused(
        3, what="database the service uses is not known.*vault", now="Nothing", next="doctor"
    )
    switched.flag("unsure").unlink()
    ended_unknown(switched)
    switched.flag("unsure").unlink()
    switched.cli("resume").ended(0)
    switched.is_back()
    assert switched.switches == 1


def test_a_person_vouches_for_the_switch_and_the_old_database_is_kept_all_the_same(
    switched: Switched,
) -> None:
    unknown = ended_unknown(switched)
    key = re.search(r"--confirm (\S+)", unknown.err)
    assert key, unknown
    vouch = ("resume", "--confirm", key[1], "--reason", "the vault shows the new name")
    switched.cli(*vouch).refused(5, what="the vault does not answer", now="nothing is held", next="resume")
    switched.flag("unsure").unlink()
    switched.cli("resume").ended(0)
    switched.is_back()
    told = switched.cli("status").ended(0).out
    assert re.search(r"collector \(\d+\.\d MB\): was live until .*, kept for 2 d more", told)
    assert "the vault shows the new name" in switched.cli("report").ended(0).out


def test_nobody_can_vouch_for_a_switch_that_the_probe_sees_undone(switched: Switched) -> None:
    switched.flag("fail").touch()
    stopped = switched.run().ended(5)
    key = re.search(r"✗ (\d+)", stopped.err)
    assert key
    vouch = ("resume", "--confirm", f"{key[1]}-data-switch", "--reason", "it must be")
    switched.cli(*vouch).refused(
        5, what="data-switch is not done: The service uses collector", now="steps are done", next="resume"
    )
    assert "collector" in switched.writable() and switched.used() == "collector"
    switched.flag("fail").unlink()
    switched.cli("resume").ended(0)
    switched.is_back()


def test_a_third_database_is_refused(switched: Switched) -> None:
    switched.flag("hang").touch()
    running = switched.cli.start("run", "--scenario", "full", "--yes")
    switched.scene.until(lambda: switched.switches == 1)
    switched.flag("third").touch()
    switched.flag("hang").unlink()
    done = switched.cli.finish(running)
    assert done.code == 5 and "uses elsewhere, neither collector nor collector_restored_" in done.err, done
    switched.flag("third").unlink()
    switched.cli("resume").ended(0)
    switched.is_back()


def test_doctor_says_which_database_is_used(switched: Switched) -> None:
    lines = {d["subject"]: d for d in switched.cli("doctor", "--json").json["lines"]}
    assert lines["database switch: used"]["evidence"]["fields"] == {"name": "collector"}
    switched.flag("unsure").touch()
    lines = {d["subject"]: d for d in switched.cli("doctor", "--json").json["lines"]}
    assert lines["database switch: used"]["ok"] is False


def test_held_first_the_runs_own_hold_is_left_to_it(switched: Switched) -> None:
    assert switched.run("--hold-first", env={"BACKOUT_FAULT": "switch.run.before"}).code == -9
    assert "collector" not in switched.writable()
    switched.cli("abort", "--yes").ended(0)
    switched.is_as_before()
    switched.run("--hold-first").ended(0)
    switched.is_back()


def test_where_nothing_can_restart_the_service_the_proof_names_who_was_not_told(
    switched: Switched,
) -> None:
    switched.run().ended(0)
    switched.cli("backup", "create").ended(0)
    newest = switched.cli("backup", "list", "--json").json["backups"][0]["backup"]["name"]
    old = switched.used()
    with switched.scene.configured(lambda c: re.sub(r"platform:\n(?:  .*\n)+", COMMAND, c)):
        failed = switched.cli("run", "--scenario", "data", "--backup", newest, "--yes").ended(6)
        assert "Clients are in a database that is kept, and can write nothing there: pid" in failed.out
        assert switched.used() != old and switched.writable() == [switched.used()]
        switched.scene.stage.deploy(GOOD)  # as a person would restart it
        switched.cli("verify").ended(0)
    assert switched.tenants() == RESTORED


def test_what_stands_prepared_is_switched_to_and_is_nobodys_to_drop_afterwards(switched: Switched) -> None:
    switched.cli("backup", "restore", "--prepare").ended(0)
    (prepared,) = switched.beside()
    done = switched.run().ended(0)
    assert re.search(r"Switch: the service uses collector_prepared_\S+ .*  \d\.\d s", done.err)
    assert switched.used() == prepared and switched.tenants() == RESTORED
    switched.cli("backup", "restore", "--prepare").ended(0)
    assert {"collector": "kept"}.items() <= switched.beside().items() and len(switched.beside()) == 2
    assert switched.writable().count(prepared) == 1
