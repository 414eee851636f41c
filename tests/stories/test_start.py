"""A release that does not come up, a port that is taken, and ways back from half a deploy."""

import socket

import psutil
import pytest

from backout.demo.releases import BAD, GOOD

pytestmark = pytest.mark.slow


def test_a_release_that_never_becomes_ready_stops_the_run_and_resume_goes_on(scene):
    with scene.start_that_hangs(GOOD, patience_s=1.5) as hang:
        done = scene.cli("run", "--yes")
        done.refused(
            5,
            what=r"5\.3\.0 runs; .*/health is not ready.*last lines of .*collector\.log.*waiting for the licence server",
            now="5 of 8 steps are done; router still holds: requests do not reach the service. "
            r"Either nothing or 5\.3\.0 runs: step 06-process-start, which did not come to its end, decides. backout abort run-",
            next="^backout resume run-",
        )
        assert "Either nothing or 5.3.0 runs" in scene.cli("status").ended(5).out
        again = scene.cli("resume")
        again.refused(
            5, what="waiting for the licence server", now="router still holds", next="^backout resume run-"
        )
        hang.unlink()
        scene.end_hanging()
        scene.cli("resume").ended(0)
        scene.finished_well()


def test_a_release_that_never_becomes_ready_can_be_undone(scene):
    with scene.start_that_hangs(GOOD, patience_s=1.5):
        done = scene.cli("run", "--yes").ended(5)
        abort = done.error["now"].split("backout abort ")[1].split()[0]
        scene.cli("abort", abort, "--yes").ended(0)
    state = scene.state()
    assert (state["version"], state["link"], state["front"], state["processes"]) == (BAD, BAD, "pass", 1)
    assert not [
        p
        for p in psutil.process_iter(["cmdline"])
        if f"{scene.stage.root}" in " ".join(p.info["cmdline"] or [])
        and "time.sleep(600)" in " ".join(p.info["cmdline"] or [])
    ]


def test_status_tells_what_serves_after_a_kill(scene):
    assert scene.cli("run", "--yes", env={"BACKOUT_FAULT": "process.stop.after"}).code == -9
    status = scene.cli("status").ended(5)
    assert "3 of 8 steps are done; router still holds: requests do not reach the service. " in status.out
    assert "Either 5.4.0 or nothing runs: step 04-process-stop, which did not come" in status.out
    scene.cli("resume").ended(0)
    scene.finished_well()


def test_a_port_that_another_process_took(scene):
    for process in scene.stage.collectors():
        process.kill()
        process.wait(10)
    with scene.configured(lambda c: c.replace("  pid_file:", "  start_timeout_s: 3\n  pid_file:", 1)):
        with socket.create_server(("127.0.0.1", scene.stage.port)):
            done = scene.cli("run", "--yes")
            done.refused(
                5, what=r"(?i)address already in use", now="router still holds", next="^backout resume run-"
            )
        scene.cli("resume").ended(0)
    scene.finished_well()


def link_to(scene, ref):
    link = scene.stage.root / "current"
    link.unlink()
    link.symlink_to(f"releases/{ref}")


def test_from_a_deploy_that_moved_the_link_and_never_restarted(scene):
    scene.stage.deploy(GOOD)
    link_to(scene, BAD)
    plan = scene.cli("plan")
    assert "A deploy is half done: 5.4.0 is wanted, 5.3.0 runs" in plan.ended(0).out
    scene.cli("run", "--to", GOOD, "--yes").ended(0)
    scene.finished_well()


def test_from_a_service_that_is_dead(scene):
    for process in scene.stage.collectors():
        process.kill()
        process.wait(10)
    overview = scene.cli("--json").ended(0).json
    assert (overview["up"], overview["expected"]) == (0, 1)
    assert "Nothing of collector runs now (0 of 1 up)" in scene.cli("plan").ended(0).out
    scene.cli("run", "--yes").ended(0)
    scene.finished_well()


def test_from_a_current_release_that_is_dead(scene):
    """The target is what the link says, but nothing runs: it is started, not only looked at."""
    scene.stage.deploy(GOOD)
    for process in scene.stage.collectors():
        process.kill()
        process.wait(10)
    scene.cli("run", "--to", GOOD, "--yes").ended(0)
    scene.finished_well()


@pytest.mark.parametrize("broken", ["dangling", "missing"])
def test_from_a_link_that_is_broken(scene, broken):
    link = scene.stage.root / "current"
    link.unlink()
    if broken == "dangling":
        link.symlink_to("releases/6.0.0")
    plan = scene.cli("plan", "--to", GOOD)
    assert plan.code in (0, 4), plan.everything
    scene.cli("run", "--to", GOOD, "--yes").ended(0)
    scene.finished_well()


@pytest.mark.parametrize("state", ["deploying", "failed"])
def test_from_a_release_that_is_still_deploying_or_failed(scene, state):
    recorded = scene.cli("record", "--state", state).ended(0)
    assert f"recorded {BAD} as {state}" in recorded.out
    overview = scene.cli("--json").ended(0).json
    assert overview["current"]["state"] == state
    scene.cli("run", "--yes").ended(0)
    scene.finished_well()


def test_a_release_that_never_came_up_is_no_target(scene):
    scene.cli("record", "--state", "failed").ended(0)
    scene.stage.deploy(GOOD)
    done = scene.cli("run", "--to", BAD, "--yes")
    done.refused(
        8, what=r"5\.4\.0 is on record as failed", now=r"5\.3\.0 still runs", next="--accept known-bad$"
    )
    assert scene.stage.running_version() == GOOD


def test_the_configuration_was_repaired_while_the_run_waited(scene):
    """The plan rests on another start command, so neither resume nor abort can go on; a new plan can."""
    with scene.start_that_hangs(GOOD, patience_s=1.5):
        scene.cli("run", "--yes").ended(5)
    done = scene.cli("resume")
    done.refused(
        5,
        what="The configuration changed since the plan was made: start, start_timeout_s",
        now="5 of 8 steps are done; router still holds",
        next=r"^backout run --to 5\.3\.0 --take-over --reason '…'",
    )
    undo = scene.cli("abort", "--yes")
    undo.refused(
        5,
        what="The configuration changed",
        now="router still holds: requests do not reach the service. .*backout resume run-\\S+ goes on undoing",
        next="--take-over",
    )
    scene.cli("run", "--to", GOOD, "--take-over", "--yes").refused(
        2, what="Taking over needs a reason", now="Nothing was changed", next="--take-over --reason"
    )
    scene.cli("run", "--to", GOOD, "--take-over", "--reason", "start command repaired", "--yes").ended(0)
    scene.finished_well()
    assert scene.cli("--json").ended(0).json["acting"] is None
    scene.cli("resume").refused(2, what="No run waits", now="Nothing", next="backout history")
