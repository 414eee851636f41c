"""`backout` alone, when what it asks accepts the connection and then says nothing: each is told as unknown."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from backout import Backout, Recording
from backout.observed import Answer
from backout.platforms.kubernetes.platform import KubernetesPlatform

pytestmark = pytest.mark.slow
# How fast this machine is now is no claim of this test (bench/overview.py measures it): only that it ends.
TIMEOUT_S = 60

CONFIG = """\
service: shop
environment: production
platform: {{kind: process, root: srv, start: [bin/serve], pid_file: shared/pid}}
router: {{kind: front, admin: "http://127.0.0.1:{port}"}}
database: {{kind: postgres, url: "postgresql://shop@127.0.0.1:{port}/shop"}}
hold:
  commands:
    - name: workers
      hold: "true"
      release: "true"
      probe: [sh, -c, "sleep 1000; : {mark}"]
"""
HANGING_PLATFORM = """\
service: shop
platform: {{kind: command, deploy: "deploy {{version}}", probe: [sh, -c, "sleep 1000; : {mark}"]}}
"""
KUBERNETES = """\
service: shop
platform: {kind: kubernetes, workloads: [deployment/shop], kubeconfig: kubeconfig}
"""
KUBECONFIG = """\
current-context: x
contexts: [{{name: x, context: {{cluster: c, user: u, namespace: shop}}}}]
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{token: t}}}}]
"""
ALL_TOGETHER_S = 8.0
"""Five times what may be waited for: questions that took their own time, one after the other, would take longer."""


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts (the kernel does, from its backlog) and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def service(tmp_path: Path, silent_port: int) -> Path:
    for version in ("1.0.0", "1.1.0"):
        (tmp_path / "srv" / "releases" / version).mkdir(parents=True)
    (tmp_path / "srv" / "shared").mkdir()
    (tmp_path / "srv" / "current").symlink_to("releases/1.1.0")
    (tmp_path / "backout.yaml").write_text(CONFIG.format(port=silent_port, mark=tmp_path))
    return tmp_path


def overview(service: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backout", *words],
        cwd=service,
        env={**os.environ, "XDG_STATE_HOME": str(service / "state")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def told_as_unknown(done: subprocess.CompletedProcess[str]) -> str:
    assert "bug in backout" not in done.stderr, done.stderr
    return " ".join(m["template"].format(**m["fields"]) for m in json.loads(done.stdout)["unknown"])


def left_running(mark: str) -> list[list[str]]:
    """Return the commands that were started for this test and still run."""
    with_words = (p.info["cmdline"] or [] for p in psutil.process_iter(["cmdline"]))
    return [words for words in with_words if any(f"sleep 1000; : {mark}" in word for word in words)]


def test_every_silent_source_is_unknown_and_the_others_are_told(service: Path) -> None:
    done = overview(service, "--json")
    told, unknown = json.loads(done.stdout), told_as_unknown(done)
    for source in ("database", "router", "workers"):
        assert source in unknown, f"{source} is not told as unknown:\n{done.stdout}"
    assert "platform" not in unknown
    assert (told["running"], told["expected"], told["safe"]) == ([], 1, "unknown")


def test_a_person_reads_it_too_and_the_process_ends_by_itself(service: Path) -> None:
    done = overview(service)
    assert "unknown" in done.stdout.lower(), done.stdout
    for source in ("database", "router", "workers"):
        assert source in done.stdout, f"{source} is not named:\n{done.stdout}"
    assert "Fatal Python error" not in done.stderr, done.stderr


def test_a_platform_that_hangs_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "backout.yaml").write_text(HANGING_PLATFORM.format(mark=tmp_path))
    done = overview(tmp_path, "--json")
    assert "platform" in told_as_unknown(done), done.stdout
    assert json.loads(done.stdout)["safe"] == "unknown"


@pytest.fixture
def in_a_silent_cluster(tmp_path: Path, silent_port: int) -> Path:
    (tmp_path / "backout.yaml").write_text(KUBERNETES)
    (tmp_path / "kubeconfig").write_text(KUBECONFIG.format(port=silent_port))
    return tmp_path


def test_a_cluster_that_does_not_answer_is_unknown_with_all_that_it_keeps(in_a_silent_cluster: Path) -> None:
    done = overview(in_a_silent_cluster, "--json")
    unknown, told = told_as_unknown(done), json.loads(done.stdout)
    assert "The API server" in unknown and "Who acts: " in unknown
    assert (done.returncode, told["safe"], told["acting"], told["acting_known"]) == (
        3,
        "unknown",
        None,
        False,
    )
    screen = overview(in_a_silent_cluster).stdout
    assert "acting    unknown" in screen and "nobody" not in screen


def test_what_a_cluster_keeps_is_not_waited_for_in_turn(in_a_silent_cluster: Path) -> None:
    """Runs, lease, records, quarantines: each has a patience of seconds of its own, but for this one screen."""
    config = in_a_silent_cluster / "backout.yaml"
    with Backout.from_config(config, {"HOME": str(in_a_silent_cluster)}) as backout:
        began_s = time.monotonic()
        assert backout.overview().safe is Answer.UNKNOWN
        assert time.monotonic() - began_s < ALL_TOGETHER_S
        platform = backout.parts.platform
        assert isinstance(platform, KubernetesPlatform)
        assert platform.api.patience.end_s(20) > time.monotonic() + 15, "whoever acts has time again"


@pytest.mark.parametrize("hangs", ["probe", "list"])
def test_what_did_not_answer_is_not_asked_again_with_more_patience(tmp_path: Path, hangs: str) -> None:
    """A release that can be gone back to is known; to plan the way, the platform would be asked about it."""
    answers = {"probe": "echo 2.0", "list": "sh -c 'echo 2.0; echo 1.0'"}
    config = "service: shop\nplatform: {{kind: command, deploy: 'deploy {{version}}', probe: {probe}, list: {list}}}\n"
    file = tmp_path / "backout.yaml"
    file.write_text(config.format(**{name: json.dumps(command) for name, command in answers.items()}))
    with Backout.from_config(file, {**os.environ}) as backout:
        for version in ("1.0", "2.0"):
            backout.record(Recording(version=version, checks=False))
        assert backout.overview().previous is not None
    answers[hangs] = "sleep 1000"
    file.write_text(config.format(**{name: json.dumps(command) for name, command in answers.items()}))
    with Backout.from_config(file, {**os.environ}) as backout:
        began_s = time.monotonic()
        found = backout.overview()
        assert time.monotonic() - began_s < ALL_TOGETHER_S
    assert (found.safe, found.next_command) == (Answer.UNKNOWN, "backout doctor")
    assert "did not answer in time" in str(found.why) or "no answer within" in str(found.why)


def test_no_question_outlives_the_one_who_asked(tmp_path: Path) -> None:
    # The command's own deadline and the overview's end in the same moment: either may be first.
    (tmp_path / "backout.yaml").write_text(HANGING_PLATFORM.format(mark=tmp_path))
    for _ in range(5):
        overview(tmp_path)
        assert left_running(str(tmp_path)) == []
