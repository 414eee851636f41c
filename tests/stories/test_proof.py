"""A proof that needs more goes on where it stopped, and can be had by hand."""

import re
import subprocess

import pytest

from backout.demo.releases import BAD, GOOD

pytestmark = pytest.mark.slow


def _error_rate(done):
    return next(r for r in done.json["results"] if r["proves"] == "error_rate")


def test_verify_goes_on_until_enough_was_seen(scene):
    """A limit of 1.5 % needs 199 requests; each look has 80."""
    with scene.configured(lambda config: config.replace("max_error_rate: 0.1", "max_error_rate: 0.015")):
        scene.cli("run", "--yes", "--json").ended(9)
        second = scene.cli("verify", "--json").ended(9)
        assert _error_rate(second)["window"].endswith(", 160 with those asked earlier")
        third = scene.cli("verify", "--json").ended(0)
        assert _error_rate(third)["window"].endswith(", 240 with those asked earlier")
        assert third.json["baseline"]["requests"] == 240
        anew = scene.cli("verify", "--json").ended(9)
        assert _error_rate(anew)["window"].startswith("80 requests in "), "what was proven is asked anew"
        assert "earlier" not in _error_rate(anew)["window"]


def test_what_was_seen_before_another_release_counts_no_more(scene):
    with scene.configured(lambda config: config.replace("max_error_rate: 0.1", "max_error_rate: 0.015")):
        scene.cli("run", "--yes", "--json").ended(9)
        scene.cli("record", "--version", "9.9.9", "--state", "deploying").ended(0)
        assert "earlier" not in _error_rate(scene.cli("verify", "--json").ended(9))["window"]


def test_verify_goes_on_with_the_proof_of_a_record(scene):
    with scene.configured(lambda config: config.replace("max_error_rate: 0.1", "max_error_rate: 0.015")):
        scene.stage.deploy(GOOD)
        first = scene.cli("record").ended(9)
        assert first.out == f"recorded {GOOD} as unknown\n"
        assert "next   backout verify" in first.err
        second = scene.cli("verify", "--json").ended(9)
        assert _error_rate(second)["window"].endswith(", 160 with those asked earlier")
        again = scene.cli("record", "--json").ended(9)
        assert "earlier" not in str(again.json["verification"]), "a deploy script that ran again begins anew"
        scene.cli("verify", "--json").ended(9)
        scene.cli("hold", "--yes").ended(0)  # Stopping requests changes nothing of what served them before.
        scene.cli("release-hold").ended(0)
        last = scene.cli("verify", "--json").ended(0)
        assert last.json["baseline"]["requests"] == 240
        rows = scene.cli("releases", "--json").json["rows"]
        assert [r["release"]["state"] for r in rows if r["current"]] == ["good"]
        anew = scene.cli("verify", "--json").ended(9)
        assert "earlier" not in _error_rate(anew)["window"], "what was proven is asked anew"


def test_a_record_waits_until_the_service_is_ready(scene):
    for process in scene.stage.collectors():
        process.kill()
        process.wait(10)
    record = scene.cli.start("record")
    assert record.stderr is not None
    assert (
        record.stderr.readline()
        == f"Waiting up to 30 s until the service is ready: no process of {BAD} runs.\n"
    )
    scene.stage.deploy(GOOD)
    scene.cli.finish(record).ended(0)
    rows = scene.cli("releases", "--json").json["rows"]
    assert [(r["release"]["version"], r["release"]["state"]) for r in rows if r["current"]] == [
        (GOOD, "good")
    ]


def test_a_record_of_a_service_that_never_becomes_ready_says_so_and_ends(scene):
    for process in scene.stage.collectors():
        process.kill()
        process.wait(10)
    shorter = "  start_timeout_s: 1\n  pid_file:"
    with scene.without_probes(), scene.configured(lambda config: config.replace("  pid_file:", shorter, 1)):
        done = scene.cli("record").ended(6)
    assert f"Not ready after 1 s: no process of {BAD} runs. The checks decide." in done.err
    assert done.out == f"recorded {BAD} as bad\n"
    assert "next   backout   #" in done.err


def test_the_runbook_proves_without_backout(scene):
    runbook = scene.cli("plan", "--to", GOOD, "--format", "md").ended(0).out
    _, *sections = re.split(r"^### ", runbook, flags=re.MULTILINE)
    guard = next(s for s in sections if "nothing changed" in s)
    proof = next(s for s in sections if "Prove that" in s)
    for section in (guard, proof):
        assert "```sh" in section
        assert not re.search(r"^backout ", section, re.MULTILINE)
    (readlink,) = re.findall(r"^readlink .*$", guard, re.MULTILINE)
    done = subprocess.run(["sh", "-c", readlink], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(re.search(r"is told to run (\S+)\.$", guard, re.MULTILINE)[1])
    for typed in ("curl -sS", "for i in $(seq 80)", "bin/smoke", 'psql "$DATABASE_URL"'):
        assert typed in proof
