"""What the command line can do, the library can: reports, plan files, runbooks, `init`, following a run."""

from __future__ import annotations

import json
import os

import pytest

from backout import Backout, Conduct, Recording, Request
from backout.errors import ExitCode, PlanExpired, UsageError

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(tiny):
    directory, cli = tiny
    with Backout.from_config(directory / "backout.yaml", {**os.environ, **cli.environ}) as backout:
        yield directory, cli, backout


def test_a_plan_is_kept_looked_at_and_carried_out(shop):
    directory, cli, backout = shop
    plan = backout.plan(Request(to="1.0"))
    backout.save_plan(plan, directory / "plan.json")
    assert backout.load_plan(directory / "plan.json") == plan
    assert backout.runbook(plan).startswith("# Take tiny in production back: 2.0 → 1.0\n")
    run = backout.run(backout.load_plan(directory / "plan.json"), Conduct(reason="tried"))
    assert run.exit_code in (ExitCode.DONE, ExitCode.INCONCLUSIVE)
    assert [seen.id for seen in backout.follow()] == [run.id], "it ended: there is nothing to wait for"
    assert "tried" in backout.report()
    assert backout.report(run.id, "html").startswith("<!doctype html>")
    assert json.loads(backout.report(run.id, "json"))["id"] == run.id
    assert cli("report", "--format", "json").json["id"] == run.id


def test_a_plan_that_was_changed_or_is_too_old_is_refused(shop):
    directory, _, backout = shop
    file = directory / "plan.json"
    plan = backout.plan()
    backout.save_plan(plan.model_copy(update={"expires_at": plan.created_at}), file)
    with pytest.raises(PlanExpired):
        backout.load_plan(file)
    file.write_text(file.read_text().replace('"2.0"', '"3.0"'))
    with pytest.raises(UsageError, match="changed after it was made"):
        backout.load_plan(file)


def test_a_release_is_recorded(shop):
    *_, backout = shop
    assert backout.record(Recording(checks=False, by="ci")).release.deployed_by == "ci"


def test_a_configuration_is_written(tmp_path):
    path = Backout.write_init(Backout.init(tmp_path))
    assert path == tmp_path / "backout.yaml"
    with pytest.raises(UsageError, match="is there already"):
        Backout.write_init(Backout.init(tmp_path))
