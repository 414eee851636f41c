"""Two people, a run that stopped, and Ctrl-C in the middle."""

import json
import os
import re
import signal

import pytest

from backout.demo.releases import BAD, GOOD

pytestmark = pytest.mark.slow


@pytest.fixture
def acting(scene):
    """Somebody's run that waits for the release to come up; `let_go` brings it up."""
    with scene.start_that_hangs(GOOD, patience_s=60) as hang:
        process = scene.cli.start("run", "--yes", "--json")
        run = scene.at_step("process.start")

        def let_go():
            hang.unlink()
            scene.end_hanging()

        yield scene, process, run["id"], let_go
        if process.poll() is None:
            process.kill()
        process.communicate()


def interrupt(process, number=signal.SIGINT):
    process.send_signal(number)


def test_a_second_operator_is_told_who_acts_and_how_to_follow(acting):
    scene, first, run, _ = acting
    done = scene.cli("run", "--yes")
    done.refused(
        3,
        what=rf"\S+@\S+ is acting on this environment \(run {run}, since \d\d:\d\d:\d\d UTC\)\. It is at step \d\d-process-start",
        now="This command changed nothing",
        next=rf"^backout status {run} --follow   # or take over: backout resume {run} --take-over --reason",
    )
    for verb in ("resume", "abort"):
        assert scene.cli(verb, *(["--yes"] if verb == "abort" else [])).refused(
            3, what="is acting", now="changed nothing", next="status"
        )
    assert (
        scene.cli("resume", "--take-over").ended(2).error["next"] == "backout resume --take-over --reason '…'"
    )
    assert first.poll() is None
    overview = scene.cli("--json").ended(0).json
    assert overview["acting"]["run"] == run
    assert overview["acting"]["waits"] is False
    assert overview["next_command"] == f"backout status {run}"


def test_a_run_can_be_followed(acting):
    scene, first, _, _ = acting
    follower = scene.cli.start("status", "--follow")
    assert scene.cli("status").code == 5
    interrupt(first)
    scene.cli.finish(first).ended(130)
    told = scene.cli.finish(follower)
    assert told.code == 130, told.everything
    assert "resume" in told.out


def test_a_program_follows_too(acting):
    scene, first, run, _ = acting
    follower = scene.cli.start("status", "--follow", "--json")
    assert re.search(r"at step \S+-process-start; \S+@\S+ acts on it now", scene.cli("status").ended(5).out)
    assert follower.poll() is None
    interrupt(first)
    scene.cli.finish(first).ended(130)
    told = scene.cli.finish(follower).ended(130).json
    assert (told["id"], told["state"]) == (run, "stopped")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_a_release_starts(acting, number):
    scene, process, run, let_go = acting
    interrupt(process, number)
    done = scene.cli.finish(process).ended(130)
    error = done.json["error"]
    assert error["code"] == "interrupted"
    assert run in error["what"]
    assert "router still holds: requests do not reach the service" in error["state"]
    assert error["next_command"] == f"backout resume {run}"
    assert "Stopping at the next safe moment" in done.err
    assert scene.stage.state()["front"] == "queue"
    # A new run is refused while this one waits; the message says both ways out.
    scene.cli("run", "--to", GOOD, "--accept", "schema-unknown", "--yes").refused(
        3,
        what=rf"Run {run} .*waits at step \d\d-process-start",
        now="changed nothing",
        next=rf"^backout resume {run} .*backout abort {run}",
    )
    assert scene.cli("status").code == 130
    assert f"backout resume {run}" in scene.cli("status").out
    let_go()
    assert run in scene.cli("resume").ended(0).everything
    scene.finished_well()


def test_a_run_that_was_interrupted_can_be_undone(acting):
    scene, process, run, _ = acting
    interrupt(process)
    scene.cli.finish(process).ended(130)
    scene.cli("abort").refused(
        4,
        what="Nobody can be asked here: Undo run",
        now="Nothing was changed",
        next=rf"^backout abort {run} --yes$",
    )
    done = scene.cli("abort", run, "--yes").ended(0)
    state = scene.state()
    assert (state["version"], state["link"], state["front"], state["processes"]) == (BAD, BAD, "pass", 1)
    rows = scene.cli("releases", "--json").json["rows"]
    assert [row["quarantined"] for row in rows] == [None, None], "the quarantine is lifted again"
    assert "Undo" in scene.cli("history").ended(0).out or done.out
    scene.cli("resume").refused(2, what="No run waits", now="Nothing was changed", next="backout history")
    scene.cli("abort", run, "--yes").refused(
        5, what="is over .aborted.", now="Nothing was changed", next=f"backout report {run}"
    )


def test_ctrl_c_twice_ends_at_once_and_resume_goes_on(scene):
    with scene.configured(
        lambda c: (
            c.replace("count: 80", "count: 3000")
            .replace("per_second: 400", "per_second: 100")
            .replace("version_header: X-Collector-Version", "version_header: X-Collector-Version")
        )
    ):
        process = scene.cli.start("run", "--yes")
        run = scene.at_step("verify")["id"]
        interrupt(process)
        line = ""
        while "Stopping at the next safe moment" not in line:
            line = process.stderr.readline()
            assert line
        interrupt(process)
        done = scene.cli.finish(process).ended(130)
        assert "backout status" in done.err
    status = scene.cli("status")
    assert run in status.out, status.everything
    assert "resume" in status.out
    scene.cli("resume").ended(0)
    scene.finished_well()


def test_ctrl_c_while_the_bad_release_ends(scene):
    (collector,) = scene.stage.collectors()
    os.kill(collector.pid, signal.SIGSTOP)  # It does not obey TERM.
    process = scene.cli.start("run", "--yes")
    scene.at_step("process.stop")
    interrupt(process)
    done = scene.cli.finish(process)
    done.refused(
        130, what="was interrupted", now="router still holds.*backout abort", next="^backout resume run-"
    )
    os.kill(collector.pid, signal.SIGCONT)
    scene.cli("resume").ended(0)
    scene.finished_well()


def test_a_colleagues_laptop_died(acting):
    """The process is gone without a word; its lease names this machine, so nobody has to wait for it."""
    scene, process, run, let_go = acting
    process.kill()
    process.wait()
    overview = scene.cli("--json").ended(0).json
    assert (overview["acting"]["waits"], overview["next_command"]) == (True, f"backout resume {run}")
    let_go()
    scene.cli("resume").ended(0)
    scene.finished_well()


def test_a_run_of_another_machine_is_taken_over_with_a_reason(acting):
    scene, process, run, let_go = acting
    os.kill(process.pid, signal.SIGSTOP)  # Wedged: it neither acts nor gives up its lease.
    lease = scene.stage.root / ".backout" / "lease.json"
    scene.cli("resume").refused(3, what="is acting", now="changed nothing", next="--take-over --reason")
    let_go()
    done = scene.cli("resume", "--take-over", "--reason", "laptop of the colleague died").ended(0)
    scene.finished_well()
    # The other one wakes up, finds that it was taken over, and does nothing more.
    os.kill(process.pid, signal.SIGCONT)
    zombie = scene.cli.finish(process)
    assert zombie.code in (0, 5), zombie.everything
    if zombie.code == 5:
        # Its own journal says so, or the target that it was about to change.
        assert re.search("taken over|took this service over", zombie.json["error"]["what"])
    scene.finished_well()
    assert "laptop of the colleague died" in scene.cli("report", run).out + json.dumps(
        json.loads(lease.read_text())
    )
    assert done
