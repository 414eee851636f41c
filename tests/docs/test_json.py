"""What every verb prints with --json is what docs/reference/json says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import jsonschema
import pytest

from .console import ROOT, Where

SCHEMAS = ROOT / "docs" / "reference" / "json"

# In this order: each line finds the stage as the one before left it.
STORY = (
    ("overview", 0, []),
    ("backup", 0, ["backup", "create"]),
    ("backups", 0, ["backup", "list"]),
    ("reading", 0, ["backup", "verify"]),
    ("doctor", 0, ["doctor"]),
    ("releases", 0, ["releases"]),
    ("plan", 0, ["plan"]),
    ("error", 2, ["plan", "--to", "9.9.9"]),
    ("error", 4, ["run"]),
    ("run", 0, ["hold", "--yes"]),
    ("run", 0, ["release-hold"]),
    ("run", 0, ["run", "--yes"]),
    ("run", 0, ["status"]),
    ("run", 0, ["resume", "{run}"]),
    ("error", 5, ["abort", "{run}", "--yes"]),
    ("run", 0, ["report"]),
    ("verify", 0, ["verify"]),
    ("record", 0, ["record"]),
    ("history", 0, ["history", "--verify"]),
    ("init", 0, ["init", "--force"]),
)


def test_the_schemas_are_schemas():
    for path in sorted(SCHEMAS.iterdir()):
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))


@pytest.mark.slow
def test_json_output_is_as_documented(stage_named: Callable[[str], Where]):
    where, run = stage_named("bad"), ""
    for schema, code, words in STORY:
        given = [word.format(run=run) for word in words]
        done = _backout(where, *given, "--json")
        told = f"backout {' '.join(given)} --json\n{done.stdout}\n{done.stderr}"
        assert done.returncode == code, told
        document = json.loads(done.stdout)
        assert _mistakes(document, schema) == [], told
        if schema == "run":
            run = document["id"]


@pytest.mark.slow
def test_an_abort_prints_the_run_that_undid(stage_named: Callable[[str], Where]):
    where = stage_named("bad")
    cut = _backout(where, "run", "--yes", BACKOUT_FAULT="process.stop.after")
    assert cut.returncode == -9
    done = _backout(where, "abort", "--yes", "--json")
    document = json.loads(done.stdout)
    assert _mistakes(document, "run") == []
    assert document["plan"]["purpose"] == "abort"


def test_a_document_that_is_not_as_documented_is_noticed():
    assert _mistakes({"error": {"code": "x"}}, "error")
    assert _mistakes({"lines": [{"ok": "yes"}]}, "doctor")


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["code", "schema"])
def test_the_demo_holds_and_prints_its_figures(stage_named: Callable[[str], Where], scenario: str):
    where = stage_named("scripts")
    done = _backout(where, "demo", "--scenario", scenario, "--json")
    document = json.loads(done.stdout)
    assert _mistakes(document, "demo") == []
    assert (done.returncode, document["broken"], document["holds"]) == (0, [], True)


def _backout(where: Where, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backout", *words],
        cwd=where.directory,
        env={**where.environ, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _mistakes(document: object, schema: str) -> list[str]:
    known = json.loads((SCHEMAS / f"{schema}.schema.json").read_text())
    return [e.message for e in jsonschema.Draft202012Validator(known).iter_errors(document)]
