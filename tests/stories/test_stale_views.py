"""Between a kill and a resume, or under a check, the world goes on: what was seen before proves nothing now."""

import pytest

from backout.demo.releases import BAD, GOOD

pytestmark = pytest.mark.slow


def killed_at(scene, point):
    done = scene.cli("run", "--yes", env={"BACKOUT_FAULT": point})
    assert done.code == -9, done.everything


def test_a_proof_that_was_not_confirmed_is_taken_anew(scene):
    """The run was killed right after its checks passed; then a pipeline deployed the bad release again."""
    killed_at(scene, "journal.step.confirmed.before:8")
    scene.stage.deploy(BAD)
    done = scene.cli("resume")
    assert done.code in (6, 9), done.everything
    assert BAD in done.everything


def test_a_schema_that_changed_before_the_switch_stops_the_resume(scene):
    killed_at(scene, "journal.step.begun.before:3")
    with scene.sql(
        "ALTER TABLE reports RENAME COLUMN body TO text",
        undo=("ALTER TABLE reports RENAME COLUMN text TO body",),
    ):
        scene.cli("resume").refused(
            5, what="schema changed since the plan was made", now="is held", next="--take-over"
        )
        assert scene.state()["version"] == BAD
        scene.cli("abort", "--yes").ended(0)


def test_a_run_whose_undoing_was_cut_short_is_not_resumed(scene):
    killed_at(scene, "process.start.after")
    run = scene.newest_run()["id"]
    done = scene.cli("abort", "--yes", env={"BACKOUT_FAULT": "process.stop.after"})
    assert done.code == -9, done.everything
    scene.cli("resume", run).refused(
        3, what="waits at step", now="changed nothing", next="backout resume run-"
    )
    scene.cli("resume").ended(0)
    state = scene.state()
    assert (state["version"], state["front"], state["processes"]) == (BAD, "pass", 1)


def test_a_means_of_holding_that_does_not_answer_is_not_passed_over(scene):
    def with_workers(text):
        return text + (
            "hold:\n  commands:\n    - name: workers\n      hold: ['true']\n      release: ['true']\n"
            "      probe: [sh, -c, 'exit 2']\n"
        )

    with scene.configured(with_workers):
        held = scene.cli("hold", "--yes")
        assert held.code in (5, 7), held.everything
        assert "workers" in held.everything
        assert scene.state()["front"] == "maintenance"
        let_go = scene.cli("release-hold")
        assert let_go.code in (5, 7), let_go.everything
        assert "workers" in let_go.everything
    scene.cli("release-hold")
    assert scene.state()["front"] == "pass"


def test_what_decides_whether_a_plan_may_run_is_part_of_it(scene, tmp_path):
    file = tmp_path / "plan.json"
    scene.cli("plan", "-o", file).ended(0)
    good = file.read_text()
    for old, new in (
        ('"expires_at":"20', '"expires_at":"21'),
        ('"rule":"schema.usable"', '"rule":"schema.fine"'),
    ):
        assert old in good
        file.write_text(good.replace(old, new, 1))
        scene.cli("run", file, "--yes").refused(
            2, what="changed after it was made", now="Nothing", next="plan -o"
        )
    assert scene.state()["version"] == BAD
    assert GOOD in good
