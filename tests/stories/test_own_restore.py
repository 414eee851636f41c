"""A person's own script restores over the live database: a safety backup first, held meanwhile, never run twice."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from backout.demo.releases import GOOD

pytestmark = pytest.mark.slow

# What many teams have; the files beside it make it fail, or wait, as a story wants.
_SCRIPT = """\
#!/bin/sh
# restore-db.sh BACKUP: drops what is there and restores over it.
echo "$1" >>runs.log
echo "restoring into $DATABASE_URL"
if [ -e drop ]; then {programs}/psql -qc "ALTER DATABASE collector RESET ALL" "$DATABASE_URL"; exit 4; fi
while [ -e hang ]; do sleep 0.1; done
if [ -e fail ]; then echo "no space left on device" >&2; exit 3; fi
exec {programs}/pg_restore --clean --if-exists -d "$DATABASE_URL" "$1"
"""
_PROBE = """\
#!/bin/sh
if [ -e unsure ]; then echo "cannot tell" >&2; exit 2; fi
[ "$({programs}/psql -Atc "SELECT count(*) FROM reports WHERE tenant = ''" "$DATABASE_URL")" = 0 ]
"""
_OWN = """
restore:
  command:
    run: [bin/restore-db.sh, "{path}"]
    probe: [bin/restored.sh, "{name}"]
    timeout_s: 60
"""


@dataclass
class Own:
    """The stage with such a script, a backup, and rows that were damaged after it."""

    scene: Any
    backup: str

    def run(self, *words: str, env: dict[str, str] | None = None) -> Any:
        told = ("run", "--scenario", "data", "--backup", self.backup, "--yes", *words)
        return self.scene.cli(*told, env=env)

    def damaged(self) -> int:
        return int(self.scene.execute("SELECT count(*) FROM reports WHERE tenant = ''")[0][0])

    @property
    def starts(self) -> int:
        log = self.scene.stage.directory / "runs.log"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def flag(self, name: str) -> Any:
        return self.scene.stage.directory / name

    def backups(self) -> list[str]:
        return [
            b["backup"]["name"] for b in self.scene.cli("backup", "list", "--json").ended(0).json["backups"]
        ]


def without_probe(config: str) -> str:
    return re.sub(r"    probe: \[bin/restored.*\n", "", config)


@pytest.fixture
def own(scene: Any) -> Iterator[Own]:
    stage = scene.stage
    programs = stage.postgres.binaries.directory
    for name, text in (("restore-db.sh", _SCRIPT), ("restored.sh", _PROBE)):
        script = stage.directory / "bin" / name
        script.write_text(text.replace("{programs}", str(programs)))
        script.chmod(0o755)
    stage.deploy(GOOD)
    scene.execute(
        "TRUNCATE reports",
        "INSERT INTO reports (id, tenant, body) SELECT md5(g::text)::uuid, 'acme-eu', 'x' FROM generate_series(1, 50) g",
    )
    shutil.rmtree(stage.directory / "backups")
    (stage.directory / "backups").mkdir()
    with scene.configured(lambda c: re.sub(r"\nrestore:\n", _OWN, c)):
        scene.cli("backup", "create").ended(0)
        made = Own(scene, scene.cli("backup", "list", "--json").json["backups"][0]["backup"]["name"])
        scene.execute("UPDATE reports SET tenant = ''")
        yield made
        for name in ("hang", "fail", "drop", "unsure", "runs.log"):
            made.flag(name).unlink(missing_ok=True)


def test_the_script_restores_with_a_safety_backup_first(own: Own) -> None:
    plan = own.scene.cli("plan", "--scenario", "data", "--backup", own.backup).ended(0)
    assert re.search(r"by your own script: bin/restore-db.sh .*no way back from here", plan.out)
    assert "Back up collector as it is now" in plan.out
    assert re.search(r"downtime +requests are held", plan.out)
    assert re.search(r"no way back from +step \d+-restore-command\..*comes back by: backout run", plan.out)
    own.run().ended(0)
    assert (own.damaged(), own.starts) == (0, 1)
    safety = next(name for name in own.backups() if name.endswith("_safety"))
    assert own.scene.state()["takes_writes"] and own.scene.state()["front"] == "pass"
    report = own.scene.cli("report").ended(0).out
    assert safety in report and "public.reports" in report and "rows cannot be compared" in report
    listed = own.scene.cli("backup", "list", "--json").json["backups"]
    assert [bool(b["pinned"]) for b in listed if b["backup"]["name"] == safety] == [True]
    # What was overwritten comes back: the safety backup has the damaged rows.
    restored = own.scene.cli("backup", "restore", safety, "--json").ended(0).json
    diff = own.scene.cli("data", "diff", restored["database"]["name"], "--table", "reports", "--json").ended(
        0
    )
    assert diff.json["tables"][0]["updated"] == 50
    own.scene.cli("backup", "drop", restored["database"]["name"], "--yes")


def test_no_number_that_was_given_out_is_given_out_again_whatever_the_script_restores(own: Own) -> None:
    own.scene.execute("CREATE SEQUENCE numbers", "SELECT nextval('numbers')")
    own.scene.execute("UPDATE reports SET tenant = 'acme-eu'")
    try:
        own.scene.cli("record", "--no-checks").ended(0)
        own.scene.cli("backup", "create").ended(0)
        own.backup = own.backups()[0]
        own.scene.execute(
            "SELECT nextval('numbers') FROM generate_series(1, 24)", "UPDATE reports SET tenant = ''"
        )
        own.run("--accept", "schema-unknown", env={"BACKOUT_FAULT": "restore.command.start.after"})
        own.scene.until((own.scene.stage.directory / ".backout" / "restore-command" / "status").exists)
        assert own.scene.execute("SELECT last_value FROM numbers") == [(1,)], "the script did not put it back"
        own.scene.cli("resume").ended(0)
        assert own.scene.execute("SELECT nextval('numbers')") == [(26,)]
    finally:
        own.scene.execute("DROP SEQUENCE numbers")


def test_a_script_that_fails_stops_the_run_held_and_resume_runs_it_again(own: Own) -> None:
    own.flag("fail").touch()
    password = urlsplit(own.scene.stage.database_url).password
    assert password
    stopped = own.run().ended(5)
    assert "no space left on device" in stopped.err and password not in stopped.everything
    log = own.scene.stage.directory / ".backout" / "restore-command" / "log"
    assert password not in log.read_text() and "restoring into postgresql://" in log.read_text()
    assert own.scene.state()["front"] == "maintenance" and own.damaged() == 50
    own.scene.cli("abort", "--yes").refused(
        8,
        what="cannot be undone.*safety backup collector_.*_safety and comes back by",
        now="past",
        next="resume",
    )
    own.flag("fail").unlink()
    own.scene.cli("resume").ended(0)
    assert (own.damaged(), own.starts) == (0, 2)


def test_a_script_that_takes_the_databases_own_hold_along_can_be_run_again(own: Own) -> None:
    own.flag("drop").touch()
    own.run().refused(5, what="exit status 4", now="hold", next="resume")
    assert own.scene.state()["takes_writes"] and own.scene.state()["front"] == "maintenance"
    own.flag("drop").unlink()
    own.scene.cli("resume").ended(0)
    assert (own.damaged(), own.starts) == (0, 2)


def test_doctor_says_whether_the_script_can_be_run(own: Own) -> None:
    lines = {d["subject"]: d["ok"] for d in own.scene.cli("doctor", "--json").json["lines"]}
    assert (lines["restore script: run"], lines["restore script: probe"]) == (True, True)
    (own.scene.stage.directory / "bin" / "restore-db.sh").chmod(0o644)
    lines = {d["subject"]: d["ok"] for d in own.scene.cli("doctor", "--json").json["lines"]}
    assert lines["restore script: run"] is False


def test_a_script_that_hangs_is_not_ended_and_not_started_twice(own: Own) -> None:
    own.flag("hang").touch()
    with own.scene.configured(lambda c: c.replace("timeout_s: 60", "timeout_s: 1")):
        own.run().refused(5, what="script for .* runs", now="hold", next="resume")
        own.scene.cli("resume").refused(5, what="script for .* runs", now="hold", next="resume")
        own.flag("hang").unlink()
        own.scene.until((own.scene.stage.directory / ".backout" / "restore-command" / "status").exists)
        own.scene.cli("resume").ended(0)
    assert own.starts == 1


def test_what_the_probe_cannot_tell_is_unknown_and_a_person_confirms(own: Own) -> None:
    own.flag("unsure").touch()
    unknown = own.run().ended(7)
    assert "cannot tell" in unknown.err and own.starts == 1
    own.scene.cli("resume").ended(7)
    key = re.search(r"--confirm (\S+)", unknown.err)
    assert key and own.starts == 1
    own.scene.cli("resume", "--confirm", key[1], "--reason", "I counted").ended(0)
    assert (own.damaged(), own.starts) == (0, 1)


def test_without_a_probe_the_outcome_is_unknown(own: Own) -> None:
    with own.scene.configured(without_probe):
        own.run().refused(7, what="no probe is declared", now="hold", next="--confirm")
        own.scene.cli("resume").ended(7)
    assert own.starts == 1


@pytest.mark.parametrize(
    "fault",
    [
        "backup.safety.before",
        "backup.safety.after",
        "restore.command.start.before",
        "restore.command.start.after",
    ],
)
def test_a_kill_anywhere_leaves_one_restore(own: Own, fault: str) -> None:
    assert own.run(env={"BACKOUT_FAULT": fault}).code == -9
    assert own.scene.state()["front"] == "maintenance"
    own.scene.cli("resume").ended(0)
    assert (own.damaged(), own.starts) == (0, 1)
    assert sum(name.endswith("_safety") for name in own.backups()) == 1


def test_when_a_hold_was_let_go_nothing_is_overwritten(own: Own) -> None:
    own.run(env={"BACKOUT_FAULT": "restore.command.start.before"})
    own.scene.stage.set_front("pass")  # as somebody with curl would
    own.scene.cli("resume").refused(
        5, what="does not hold any more", now="Nothing was overwritten", next="plan"
    )
    assert own.damaged() == 50


def test_leaving_out_the_safety_backup_is_named_and_recorded(own: Own) -> None:
    before = own.backups()
    own.run("--accept", "no-safety-backup").ended(0)
    assert own.backups() == before and own.damaged() == 0
    report = own.scene.cli("report").ended(0).out
    assert "no-safety-backup" in report and "Nothing keeps what was overwritten" in report
