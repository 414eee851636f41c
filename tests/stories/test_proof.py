"""A proof that needs more goes on where it stopped, and can be had by hand."""

import re
import subprocess

import pytest

from backout.demo.releases import GOOD

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
