"""Chosen tables go back inside the live database: the others keep every row, and a kill anywhere changes nothing twice."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from backout.demo.releases import GOOD

pytestmark = pytest.mark.slow


@dataclass
class Damaged:
    """The stage, a backup, and reports that were damaged after it; `notes` were written since."""

    scene: Any
    backup: str

    def run(self, *words: str, env: dict[str, str] | None = None) -> Any:
        told = ("run", "--scenario", "data", "--tables", "public.reports", "--backup", self.backup, "--yes")
        return self.scene.cli(*told, *words, env=env)

    def reports(self) -> list[tuple[str, int]]:
        query = (
            "SELECT tenant, count(*) FROM reports WHERE tenant <> 'smoke-test-tenant' GROUP BY 1 ORDER BY 1"
        )
        return list(self.scene.execute(query))

    def notes(self) -> int:
        return int(self.scene.execute("SELECT count(*) FROM notes")[0][0])

    def beside(self) -> list[str]:
        return [d["name"] for d in self.scene.cli("backup", "list", "--json").ended(0).json["beside"]]


@pytest.fixture
def damaged(scene: Any) -> Iterator[Damaged]:
    stage = scene.stage
    stage.deploy(GOOD)
    scene.execute(
        "TRUNCATE reports",
        "INSERT INTO reports (id, tenant, body) SELECT md5(g::text)::uuid, 'acme-eu', 'x' FROM generate_series(1, 50) g",
        "CREATE TABLE notes (v text)",
        "INSERT INTO notes VALUES ('before')",
    )
    shutil.rmtree(stage.directory / "backups")
    (stage.directory / "backups").mkdir()
    scene.cli("backup", "create").ended(0)
    scene.cli("backup", "verify").ended(0)
    name = scene.cli("backup", "list", "--json").json["backups"][0]["backup"]["name"]
    scene.execute(
        "UPDATE reports SET tenant = '' WHERE id IN (SELECT id FROM reports ORDER BY id LIMIT 20)",
        "DELETE FROM reports WHERE id IN (SELECT id FROM reports ORDER BY id DESC LIMIT 5)",
        "INSERT INTO reports (id, tenant, body) VALUES (gen_random_uuid(), 'new', 'x'), (gen_random_uuid(), 'new', 'x')",
        "INSERT INTO notes VALUES ('since')",
    )
    made = Damaged(scene, name)
    yield made
    for database in made.beside():
        scene.cli("backup", "drop", database, "--yes")
    scene.execute("SET default_transaction_read_only = off", "DROP TABLE notes")


WELL = [("acme-eu", 50)]


def test_only_the_named_table_goes_back(damaged: Damaged) -> None:
    plan = damaged.scene.cli(
        "plan", "--scenario", "data", "--tables", "public.reports", "--backup", damaged.backup
    ).ended(0)
    assert re.search(r"Make public.reports of collector equal to the backup.*no way back from here", plan.out)
    assert "--tables public.reports" in plan.out and re.search(r"downtime +requests are held", plan.out)
    damaged.run().ended(0)
    assert damaged.reports() == WELL and damaged.notes() == 2
    assert damaged.beside() == []
    state = damaged.scene.state()
    assert (state["takes_writes"], state["front"]) == (True, "pass")
    report = damaged.scene.cli("report").ended(0).out
    rows = re.search(r"`public.reports` \| (\d+) \| (\d+) \| 5 \| 20 \| 2 ", report)
    assert rows and int(rows[2]) - int(rows[1]) == 5 - 2, "the rows before and after"
    safety = re.search(r"collector_\w+_safety", report)
    assert safety
    backups = {b["backup"]["name"]: b for b in damaged.scene.cli("backup", "list", "--json").json["backups"]}
    assert list(backups[safety[0]]["backup"]["manifest"]["rows"]) == ["public.reports"]
    assert backups[safety[0]]["reading"]["ok"], "it was not read back"
    damaged.scene.cli("backup", "restore", safety[0], "--prepare").refused(
        3, what="rows of public.reports alone", now="Nothing was restored", next=f"restore {safety[0]}"
    )
    restored = damaged.scene.cli("backup", "restore", safety[0], "--json").ended(0).json["database"]["name"]
    # Its other tables are empty, and are not taken for deleted.
    (diff,) = damaged.scene.cli("data", "diff", restored, "--json").ended(0).json["tables"]
    assert (diff["table"], diff["inserted"], diff["updated"]) == ("public.reports", 2, 20)


def test_the_safety_backup_brings_back_what_was_overwritten(damaged: Damaged) -> None:
    before = damaged.reports()
    damaged.run().ended(0)
    safety = re.search(r"collector_\w+_safety", damaged.scene.cli("report").ended(0).out)
    assert safety
    whole = ("plan", "--scenario", "data", "--backup", safety[0])
    damaged.scene.cli(*whole).refused(3, what="alone", now="Nothing", next="--tables public.reports")
    # The damage is back with it: the proof says so.
    Damaged(damaged.scene, safety[0]).run("--take-over", "--reason", "wrong one").ended(6)
    assert damaged.reports() == before and damaged.notes() == 2


def test_a_safety_backup_that_cannot_be_read_back_is_never_relied_on(damaged: Damaged) -> None:
    before = damaged.reports()
    assert damaged.run(env={"BACKOUT_FAULT": "backup.safety.read.before"}).code == -9
    (folder,) = (damaged.scene.stage.directory / "backups").glob("*_safety")
    broken = max(folder.glob("*.dat.gz"), key=lambda p: p.stat().st_size)
    broken.write_bytes(broken.read_bytes()[:-9])
    damaged.scene.cli("resume").refused(
        5, what="cannot be restored", now="Nothing was overwritten", next="backout abort"
    )
    damaged.scene.cli("abort", "--yes").ended(0)
    assert damaged.reports() == before and damaged.scene.state()["front"] == "pass"


@pytest.mark.parametrize(
    "fault",
    [
        "backup.safety.read.before",
        "backup.safety.after",
        "tables.restore.before",
        "tables.restore.commit.before",
        "tables.restore.commit.after",
        "tables.restore.after",
    ],
)
def test_a_kill_anywhere_is_resumed_to_the_same_end(damaged: Damaged, fault: str) -> None:
    assert damaged.run(env={"BACKOUT_FAULT": fault}).code == -9
    assert damaged.scene.state()["front"] == "maintenance"
    committed = fault in ("tables.restore.commit.after", "tables.restore.after")
    assert (damaged.reports() == WELL) is committed
    damaged.scene.cli("resume").ended(0)
    assert damaged.reports() == WELL and damaged.notes() == 2
    report = damaged.scene.cli("report").ended(0).out
    assert re.search(r"`public.reports` \| \d+ \| \d+ \| 5 \| 20 \| 2 ", report)


def test_an_abort_before_anything_was_written_leaves_all_as_it_was(damaged: Damaged) -> None:
    before = damaged.reports()
    damaged.run(env={"BACKOUT_FAULT": "backup.safety.after"})
    damaged.scene.cli("abort", "--yes").ended(0)
    assert damaged.reports() == before and damaged.beside() == []
    assert damaged.scene.state()["front"] == "pass" and damaged.scene.state()["takes_writes"]


def test_rows_written_since_a_hold_was_let_go_are_not_overwritten(damaged: Damaged) -> None:
    damaged.run(env={"BACKOUT_FAULT": "tables.restore.before"})
    before = damaged.reports()
    damaged.scene.stage.set_front("pass")  # as somebody with curl would
    damaged.scene.cli("resume").refused(
        5, what="does not hold any more", now="Nothing was overwritten", next="backout plan"
    )
    assert damaged.reports() == before


def test_more_than_was_approved_stops_before_anything_is_held(damaged: Damaged) -> None:
    damaged.run("--max-loss", "1").refused(
        4, what="2 rows would be removed, and 1", now="Nothing", next="--max-loss 2"
    )
    assert damaged.scene.state()["front"] == "pass"
    damaged.scene.cli("abort", "--yes").ended(0)


def test_what_cannot_go_back_alone_is_refused_with_the_reason(damaged: Damaged) -> None:
    cli = damaged.scene.cli
    told = ("plan", "--scenario", "data", "--backup", damaged.backup, "--tables")
    cli(*told, "public.notes").refused(
        8, what="public.notes has no key", now="Nothing was changed", next="backout"
    )
    cli(*told, "public.report").refused(
        8, what="no table public.report.*Near: public.reports", now="Nothing", next=""
    )
    cli(*told, "reports").refused(
        2, what="name each with its schema", now="Nothing was changed", next="public."
    )
    cli("plan", "--scenario", "full", "--tables", "public.reports").refused(
        2, what="belongs to --scenario data", now="Nothing was changed", next="--scenario data --tables"
    )
