"""Runs live in the cluster: one laptop begins and is gone; another, with a kubeconfig, sees the run and ends it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from backout.testing.grounds import check_grounds_store
from backout.testing.runs import check_run_store

from .laptop import Laptop
from .service import KubeService, until

pytestmark = pytest.mark.slow

STEP = "kubernetes.template.before"


def laptop(service: KubeService, folder: Path, host: str) -> Laptop:
    cli = service.configure(folder=folder)
    return Laptop(cli.directory, cli.environ, host)


def test_a_laptop_is_wiped_in_the_middle_and_another_ends_the_run(fresh: KubeService, tmp_path: Path) -> None:
    first, second = laptop(fresh, tmp_path / "a", "laptop-a"), laptop(fresh, tmp_path / "b", "laptop-b")
    fresh.recorded(first)
    reason = f"orders fail, {fresh.database.url} too"
    acting = first.frozen("run", "--yes", "--reason", reason, at=STEP)
    try:
        overview = second("--json").json
        run = overview["acting"]["run"]
        assert overview["acting"]["holder"].endswith("@laptop-a")
        assert overview["acting"]["step"].endswith("kubernetes-template")
        told = second("status").ended(5).out
        assert run in told and "laptop-a" in told
        for words in (("run", "--yes"), ("resume",), ("abort", "--yes")):
            second(*words).refused(
                3,
                what=rf"@laptop-a is acting on this environment \(run {run}, .*at step \S+-kubernetes-template",
                now="changed nothing",
                next=f"backout resume {run} --take-over --reason",
            )
    finally:
        acting.kill()
        acting.communicate()
    shutil.rmtree(first.directory)
    done = second("resume", "--take-over", "--reason", "her laptop fell into the sea").ended(0)
    assert "Done and proven" in done.everything
    assert fresh.served() == ["1.0.0"]
    report = second("report", run).ended(0).out
    for said in ("orders fail", "fell into the sea", "@laptop-a", "@laptop-b"):
        assert said in report, report
    whole = second("report", run, "--format", "json").ended(0).json
    assert {s["state"] for s in whole["steps"]} == {"confirmed"}
    assert whole["verification"]["outcome"] == "pass"
    password = fresh.database.url.rpartition("@")[0].rpartition(":")[2]
    assert len(password) > 3 and password not in json.dumps(fresh.get("configmaps,leases"))
    # A third one, later, knows all of it too.
    third = laptop(fresh, tmp_path / "c", "laptop-c")
    assert third("report", "--format", "json").ended(0).json == whole
    third("history", "--verify").ended(0)


def test_who_was_taken_over_does_nothing_more_and_learns_how_it_ended(
    fresh: KubeService, tmp_path: Path
) -> None:
    first, second = laptop(fresh, tmp_path / "a", "laptop-a"), laptop(fresh, tmp_path / "b", "laptop-b")
    fresh.recorded(first)
    acting = first.frozen("run", "--yes", at=STEP)
    second("resume", "--take-over", "--reason", "he went for lunch").ended(0)
    before = fresh.snapshot()
    first.wake(acting)
    first.finish(acting).refused(
        5, what="took over|taken over", now="stopped|changed nothing", next="backout"
    )
    assert fresh.snapshot() == before
    runs = [cli("history", "--json").ended(0).json["runs"] for cli in (first, second)]
    assert [[(r["id"], r["state"]) for r in rows] for rows in runs] == [[(runs[0][0]["id"], "finished")]] * 2
    first("history", "--verify").ended(0)
    first("report").ended(0)


def test_without_room_for_its_record_no_run_begins_but_an_emergency_goes_on(fresh: KubeService) -> None:
    cli = fresh.configure()
    fresh.recorded(cli)
    there = len(fresh.get("configmaps")["items"])
    fresh.kubectl("create", "quota", "full", f"--hard=count/configmaps={there}")
    until(lambda: fresh.get("resourcequota", "full")["status"].get("used"))
    told = cli("run", "--yes").error
    assert "exceeded quota" in told["what"], told
    assert fresh.served() == ["2.0.0"]
    done = cli("run", "--emergency", "--scenario", "code", "--reason", "everything is on fire", "--yes")
    assert done.code in (0, 9), done.everything
    assert fresh.served() == ["1.0.0"]
    emergency = cli("history", "--json").ended(0).json["runs"][0]["id"]
    assert "everything is on fire" in cli("report", emergency).out


def test_the_stores_keep_their_promises(service: KubeService) -> None:
    platform = service.platform()
    check_run_store(platform.run_store)
    check_grounds_store(platform.grounds_store)
