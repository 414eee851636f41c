"""Runs live in the cluster: one laptop begins and is gone; another, with a kubeconfig, sees the run and ends it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.waiting import until

from backout.errors import JournalTampered
from backout.testing.grounds import check_grounds_store
from backout.testing.runs import check_run_store, event_of

from .laptop import Laptop
from .service import NAME, KubeService

pytestmark = pytest.mark.slow

STEP = "kubernetes.template.before"


def laptop(service: KubeService, folder: Path, host: str) -> Laptop:
    cli = service.configure(folder=folder)
    return Laptop(cli.directory, cli.environ, host)


def step_of(service: KubeService) -> str:
    """Return the step of the workload's last change, as it is written there."""
    return str(service.get(NAME)["metadata"]["annotations"].get("backout/step"))


def test_a_laptop_is_wiped_in_the_middle_and_another_ends_the_run(fresh: KubeService, tmp_path: Path) -> None:
    first, second = laptop(fresh, tmp_path / "a", "laptop-a"), laptop(fresh, tmp_path / "b", "laptop-b")
    fresh.recorded(first)
    reason = f"orders fail, {fresh.database.url} too"
    # The roll-out does not come to its end, so the first laptop lives as long as it takes to look.
    fresh.patch({"spec": {"minReadySeconds": 500}})
    acting = first.start("run", "--yes", "--reason", reason)
    try:
        until(lambda: acting.poll() is not None or "-kubernetes-template" in step_of(fresh))
        assert acting.poll() is None, Laptop.finish(acting).everything
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
    fresh.patch({"spec": {"minReadySeconds": 0}})
    third = laptop(fresh, tmp_path / "c", "laptop-c")
    follower = third.start("status", "--follow")
    done = second("resume", "--take-over", "--reason", "her laptop fell into the sea").ended(0)
    assert "Done and proven" in third.finish(follower).ended(0).out
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
    assert third("report", "--format", "json").ended(0).json == whole
    third("history", "--verify").ended(0)


def test_who_was_taken_over_does_nothing_more_and_learns_how_it_ended(
    fresh: KubeService, tmp_path: Path
) -> None:
    first, second = laptop(fresh, tmp_path / "a", "laptop-a"), laptop(fresh, tmp_path / "b", "laptop-b")
    fresh.recorded(first)
    acting = first.frozen("run", "--yes", at=STEP)
    undone = second("abort", "--take-over", "--reason", "he went for lunch", "--yes").ended(0)
    assert fresh.served() == ["2.0.0"], undone.everything
    before = fresh.snapshot()
    first.wake(acting)
    first.finish(acting).refused(
        5, what="took over|taken over", now="stopped|changed nothing", next="backout"
    )
    assert fresh.snapshot() == before
    runs = [cli("history", "--json").ended(0).json["runs"] for cli in (first, second)]
    told = [[(r["id"], r["state"], r["aborted_by"], r["aborts"]) for r in rows] for rows in runs]
    assert told[0] == told[1]
    assert [state for _, state, _, _ in told[0]] == ["finished", "aborted"]
    for cli in (first, second):
        cli("history", "--verify").ended(0)
        assert not any(r["quarantined"] for r in cli("releases", "--json").ended(0).json["rows"])


def test_without_room_for_its_record_no_run_begins_but_an_emergency_goes_on(fresh: KubeService) -> None:
    cli = fresh.configure()
    fresh.recorded(cli)
    there = len(fresh.get("configmaps")["items"])
    fresh.kubectl("create", "quota", "full", f"--hard=count/configmaps={there}")
    until(lambda: fresh.get("resourcequota", "full")["status"].get("used"))
    told = cli("run", "--yes").error
    assert "exceeded quota" in told["what"], told
    assert fresh.served() == ["2.0.0"]
    cli("hold", "--yes").ended(0)
    fresh.kubectl("delete", "quota", "full")
    cli("release-hold").ended(0)
    there = len(fresh.get("configmaps")["items"])
    fresh.kubectl("create", "quota", "full", f"--hard=count/configmaps={there}")
    until(lambda: fresh.get("resourcequota", "full")["status"].get("used"))
    done = cli("run", "--emergency", "--scenario", "code", "--reason", "everything is on fire", "--yes")
    assert done.code in (0, 9), done.everything
    assert fresh.served() == ["1.0.0"]
    emergency = cli("history", "--json").ended(0).json["runs"][0]["id"]
    assert "everything is on fire" in cli("report", emergency).out


def test_the_stores_keep_their_promises(service: KubeService) -> None:
    platform = service.platform()
    check_run_store(platform.run_store)
    check_grounds_store(platform.grounds_store)


def test_a_run_that_was_changed_in_the_cluster_is_not_believed(service: KubeService) -> None:
    runs = service.platform().run_store()
    assert runs.append("run-x", [event_of("run-x", n) for n in range(3)], after=None)
    name = service.kubectl("get", "configmap", "-l", "backout/run=run-x", "-o", "name").strip()
    service.kubectl("patch", name, "--type=json", "-p", '[{"op": "remove", "path": "/data/000002.json"}]')
    with pytest.raises(JournalTampered, match=name.partition("/")[2]) as raised:
        runs.read("run-x")
    assert "delete it to do without that run" in raised.value.next_command
