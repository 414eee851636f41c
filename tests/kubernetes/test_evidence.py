"""What the bad release leaves behind is in the report, although its pods are gone; no secret is in it."""

from __future__ import annotations

import json

import pytest
from tests.waiting import until

from testbed.python_layer import interpreter

from .service import NAME, KubeService

pytestmark = pytest.mark.slow


def test_the_last_words_of_a_pod_that_crashes_are_kept(fresh: KubeService) -> None:
    cli = fresh.configure()
    cli("record", "--state", "good", "--no-checks").ended(0)
    crash = "print('the licence server is gone', flush=True); raise SystemExit(3)"
    container = {
        "name": "collector",
        "command": [interpreter(), "-c", crash],
        "env": [{"name": "TOKEN", "value": "hunter2"}],
    }
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    fresh.kubectl("patch", NAME, "-p", json.dumps(patch))
    until(lambda: any(_restarts(p) for p in fresh.get("pods")["items"]))
    cli("run", "--to", "2.0.0", "--yes", "--accept", "schema-unknown").ended(0)
    report = cli("report").ended(0).out
    assert "the licence server is gone" in report and "database sessions" in report
    folder = next((cli.directory / ".backout" / "evidence").iterdir())
    saved = {file.name: file.read_text() for file in folder.iterdir()}
    assert any(name.endswith("before-log.txt") for name in saved)
    assert "BackOff" in saved["events.txt"]
    assert "collector-spec.txt" in saved
    assert not [name for name, text in saved.items() if "hunter2" in text]
    assert (folder.stat().st_mode & 0o777, len(saved) > 4) == (0o700, True)


def test_one_pod_is_kept_and_gets_no_request_any_more(fresh: KubeService) -> None:
    cli = fresh.configure()
    fresh.recorded(cli)
    done = cli("run", "--keep-one", "--yes").ended(0)
    (kept,) = fresh.get("pods", "-l", "backout/kept")["items"]
    assert kept["metadata"]["name"] in cli("report").ended(0).out
    assert fresh.served() == ["1.0.0"]
    assert "ownerReferences" not in kept["metadata"] and kept["status"]["phase"] == "Running"
    assert (
        "delete pod -l backout/kept"
        in cli("plan", "--keep-one", "--to", "2.0.0", "--accept", "quarantined").out
    )
    assert done.code == 0


def _restarts(pod: dict[str, object]) -> bool:
    statuses = pod["status"].get("containerStatuses") or ()  # type: ignore[attr-defined]
    return any(s["restartCount"] for s in statuses)
